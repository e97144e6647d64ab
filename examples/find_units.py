"""Find brain-like units: find_units.py [RELEASE] [FOLDER].

Which units are well decoded from V4 of every person? Which layers are, from which region? Which
channels hold many such units? With a FOLDER, the figure is written into it.
"""

import sys
from pathlib import Path

import unitdb
from unitdb import col, plot

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")

v4 = release.units(roi="V4")
everybody = v4.where(col.min_r > 0.3)
print(f"{len(everybody):,} of {len(v4):,} units have r > 0.3 in the worst of all people")

columns = ["unit_id", "mean_r", "min_r", "max_r"]
print(everybody.top(5, by="mean_r").to_pandas()[columns].round(3).to_string(index=False))

print("\nMean accuracy of layers (rows) from regions (columns)")
print(release.layer_by_roi("accuracy").round(2).to_string())

print("\nBrain hierarchy score, from -1 to 1, and its 95 % interval")
for row in release.table("hierarchy").itertuples():
    interval = f"{row.score_low:.2f} to {row.score_high:.2f}"
    print(f"{row.kind:<10}{row.method:<12}{row.score:.2f}  ({interval})")

if len(sys.argv) > 2:
    axes = plot.layer_by_roi(release)
    axes.figure.savefig(Path(sys.argv[2]) / "find_units.png", dpi=80, bbox_inches="tight")
