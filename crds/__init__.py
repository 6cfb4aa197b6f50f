"""The API of the platform: pydantic types by kind, and the CRD YAML generated from them."""

GROUP = "iirp.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
