"""The embedded stack: PostgreSQL and Apache Kafka from wheels, and the services, under one supervisor."""
