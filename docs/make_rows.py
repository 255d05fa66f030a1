"""Writes docs/rows.md: every row of Table 3, the keys it changes, and the file that says so.

python docs/make_rows.py
"""

from pathlib import Path

from experiments.common.problems import show
from experiments.published import table3
from experiments.spec.guard import diff
from experiments.spec.spec import make_spec

PAGE = Path(__file__).with_name("rows.md")
HEAD = """# The rows

Every row of the paper's Table 3 with the key that its file sets, the baseline's value and the row's. Sizes come from
the scale; a changed `name` brings its own branch. The paper's labels, groups and figures are in
[table3.csv](../experiments/published/table3.csv). Written by `python docs/make_rows.py`.

| row | group | paper: setting, changed value | key | in the baseline | in the row | file |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The page as it should stand."""
    lines = []
    for name, row in table3.rows().items():
        file = f"[{name}.yaml](../experiments/conf/ablation/{name}.yaml)"
        spec = make_spec(f"ablation={name}")
        changed = diff(spec.baseline.tree, spec.tree)
        for key in spec.changes.get(name, []):
            before, after = changed[key]
            what = f"{row.setting}: {row.changed_value}"
            lines.append(f"| `{name}` | {row.group} | {what} | `{key}` | `{show(before)}` | `{show(after)}` | {file} |")
        if not spec.changes.get(name):
            lines.append(f"| `{name}` | | {row.setting} | | | | {file} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
