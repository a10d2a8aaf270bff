"""What `make check` refuses beyond what ruff, mypy and import-linter do."""

from tests.docs.check import long_files


def test_a_file_over_400_lines_states_its_reason(tmp_path):
    """In its first 20 lines, in its own language's comment; a reason with no words is none."""
    files = {
        "src/house/app.py": 400 * "x = 1\n",
        "src/house/long.py": 401 * "x = 1\n",
        "src/house/meant.py": '"""A table."""\n# over 400 lines: one table\n' + 401 * "x = 1\n",
        "tests/empty.py": "# over 400 lines:\n" + 401 * "x = 1\n",
        "tests/late.py": 20 * "x = 1\n" + "# over 400 lines: late\n" + 401 * "x = 1\n",
        "tests/sdk/run.mjs": "// over 400 lines: one table\n" + 401 * "x\n",
        "tests/sdk/answer.json": 401 * "{}\n",
        "tests/sdk/node_modules/theirs.js": 401 * "x\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    refused = [line.split(":")[0] for line in long_files(tmp_path)]
    assert refused == ["src/house/long.py", "tests/empty.py", "tests/late.py"]
