"""One module for each subcommand of `jubao`; `services.cli.main` imports it when it is run."""
