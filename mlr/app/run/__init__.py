"""The life of a run: claimed, trained, recorded, ended, resumed."""
