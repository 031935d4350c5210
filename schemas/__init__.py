"""The contracts between services: topics, envelope, vocabulary and one file per event family."""
