"""The services of Jubao, each a folder of its own over `runtime` and `schemas`."""
