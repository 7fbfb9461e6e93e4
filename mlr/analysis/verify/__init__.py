"""What scripts/verify.py does: every file of a run is held against its checksums, and mended.

`examine` (run, sweep) looks at a folder and finds a `Finding` a file; `mend` does what can be
done. Folders may be anybody's: links out of them are not followed, and nothing in them is run.
"""
