"""Programs written on 2026-12-01 by one who had not seen the rules, to judge them; read since.

`corpus` has what was found at first sight.
"""
