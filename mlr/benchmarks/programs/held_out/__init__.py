"""Programs written blind on 2026-12-01: by one who had not seen the rules, to judge them.

Who writes or mends rules does not read them. Once they were looked at to mend a rule, they are
data of development, and belong into the folder above, as those that an earlier draw held out.
"""
