"""Tables with a known signal, made once into `dataset.root`: `folder` keeps the folder, `jd` and `ads` each draw a data set."""
