"""Predict a file by a trained run, and judge the predictions if the file has targets.

python scripts/predict.py runs/2026-01-31/12-00-00-abcdef new.csv
"""

if __name__ == "__main__":
    from _start import start

    start("predict")
