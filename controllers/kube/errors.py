"""The API server's answers as typed errors; each says by its second base what the queue does with it."""

from __future__ import annotations

from controllers.runtime.errors import ReconcileError, Retryable, Terminal


class KubeError(ReconcileError):
    """Any refusal of the API server. ``status`` is the HTTP code (0: no answer), ``reason`` a CamelCase word."""

    status = 0


class NotFound(KubeError, Terminal):
    """404: the object (or its kind) does not exist."""

    status = 404


class AlreadyExists(KubeError, Retryable):
    """409 on create."""

    status = 409


class Conflict(KubeError, Retryable):
    """409: a precondition (resourceVersion, uid) does not hold, or another field manager owns the field."""

    status = 409


class Forbidden(KubeError, Terminal):
    """403: RBAC or an admission policy refused; ``message`` is the API server's own."""

    status = 403


class Invalid(KubeError, Terminal):
    """400 or 422: the object does not pass validation; ``message`` names the field."""

    status = 422


class Expired(KubeError, Retryable):
    """410: the resourceVersion or the continue token is too old; list anew."""

    status = 410


class Unavailable(KubeError, Retryable):
    """No answer, 401, 429 or 5xx. ``message`` names the address."""

    status = 0
