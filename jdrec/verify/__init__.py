"""Whether what is served is what was trained: requests are replayed through the online path and compared with the run's files.

arrivals (which row comes when) ─▶ replay, through a target (embedded, APIServer, service) ─▶ report ◀─ offline (features, ids, scores)

One concept a file; `run` is task=verify, `logged` reads a service's request log.
"""
