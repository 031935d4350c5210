"""What `jubao audit` does, a file for each subject, loaded when it is asked for."""
