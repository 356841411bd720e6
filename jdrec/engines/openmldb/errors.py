"""What can go wrong with a cluster. No message carries its address or a password: see `settings.Redactor`."""

from __future__ import annotations

from jdrec.errors import EngineError


class ClusterError(EngineError):
    """The cluster cannot be reached, or refuses a statement."""


class LostConnection(ClusterError):
    """The cluster stopped answering."""


class JobError(ClusterError):
    """A job of the cluster failed, was stopped or took too long; the message holds the end of its log."""


class JobTimeout(JobError):
    """A job took longer than it may."""


class SchemaError(ClusterError):
    """A table that exists already has other columns than the definition."""
