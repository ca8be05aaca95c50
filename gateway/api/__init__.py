"""HTTP: FastAPI routers. A handler parses, calls one function, renders."""
