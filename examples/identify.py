"""Identify what was seen and imagined: identify.py [RELEASE] [FOLDER].

Decoders are trained while people see pictures. Here they predict features of a network while the
same people see, and imagine, others. A prediction identifies its target if it is more like the
target's features than like those of another candidate: half of the pairs by chance. The release is
the second one of `make demo`. With a FOLDER, the figure is written into it.
"""

import sys
from pathlib import Path

import unitdb
from unitdb import plot

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample-topdown")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")

rows = release.table("identification_summary")
rows = rows[
    (rows["subject"] == "*") & (rows["trials"] == "means") & (rows["method"] == "normalised")
]
rows = rows[~rows["layer"].str.startswith("*")]  # without layers combined
print("Rate of the best layer, mean over people; beside it the rate of exchanged images")
for (condition, candidates), found in rows.groupby(["condition", "set"], observed=True):
    best = found.loc[found["rate"].idxmax()]
    print(
        f"{condition:<12}{candidates:<10}{best['layer']:<9}{best['rate']:.2f} "
        f"({best['rate_low']:.2f} to {best['rate_high']:.2f}), exchanged {best['chance_fold']:.2f}"
    )

course = release.table("timecourse").query("condition == 'imagery'")
means = course.groupby(["layer", "time"], observed=True)["identification"].mean()
layer, time = means.idxmax()
people = course[(course["layer"] == layer) & (course["time"] == time)]
above = int((people["identification_low"] > people["chance"]).sum())
print(
    f"imagined    own       {layer:<9}{means.max():.2f}, {time:.0f} s after onset; interval above "
    f"chance ({people['chance'].mean():.2f}) in {above} of {len(people)} people"
)

print("\nLag of imagery behind seeing in seconds, by layer (negative slope: higher layers first)")
lags = release.table("lag").query("control == 'none'").sort_values("lag")
print(", ".join(f"{row.layer} {row.lag:.1f}" for row in lags.itertuples()))
order = release.table("lag_order").query("control == 'none'").iloc[0]
print(f"slope {order['slope']:.2f} ({order['low']:.2f} to {order['high']:.2f})")

if len(sys.argv) > 2:
    axes = plot.timecourse(release, roi=release.values("roi")[0], condition="imagery")
    axes.figure.savefig(Path(sys.argv[2]) / "identify.png", dpi=80, bbox_inches="tight")
