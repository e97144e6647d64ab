"""Recipe → jobs → predictions → measures → release."""

from unitdb.extras import need

need("pydantic", "yaml", by="unitdb.pipeline", extra="build")

from unitdb.pipeline.datalad_run import build_in_datalad
from unitdb.pipeline.planning import JobPlan, plan
from unitdb.pipeline.run import build
from unitdb.pipeline.scoring import score

__all__ = ["JobPlan", "build", "build_in_datalad", "plan", "score"]
