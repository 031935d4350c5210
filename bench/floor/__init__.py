"""The floor: raw batches off the topic and bare inserts into Jubao's own tables. See README.md beside this file."""
