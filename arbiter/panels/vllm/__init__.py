"""Language models behind vLLM as panel members: asked over HTTP, bound to a schema, believed only after reading."""
