"""The contracts as documents: AsyncAPI and OpenAPI from the running services, and pages that a partner reads."""
