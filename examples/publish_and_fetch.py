"""Publish and fetch: publish_and_fetch.py [RELEASE].

A store is a DataLad dataset of releases, in a folder or on a server. Others fetch a release from it
by name and version. Every file is held to its checksum.
"""

import sys
import tempfile
from pathlib import Path

import unitdb
from unitdb.publish import publish
from unitdb.release import fetch

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")

with tempfile.TemporaryDirectory() as folder:
    store, mine = Path(folder) / "store", Path(folder) / "mine"
    print("published:", publish(release.path, str(store)))
    print("published again:", publish(release.path, str(store)), "(nothing is new)")
    fetched = fetch(release.name, source=str(store), releases=mine)
    print("fetched:", fetched.relative_to(mine))
    same = unitdb.open(fetched).units(roi="V1").top(3).to_pandas()
    print(same[["unit_id", "mean_r"]].round(3).to_string(index=False))
