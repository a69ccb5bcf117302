"""These tests need lmms-eval, which has an environment of its own: `make test-eval`. Elsewhere they are not collected."""

from importlib.util import find_spec

if find_spec("lmms_eval") is None:
    collect_ignore_glob = ["*"]
