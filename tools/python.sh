# Which Python the scripts run, as "$python"; sourced by them, with "$root" set to the folder above this one.
# It is $PYTHON, else the environment under .venv/ that make set up last, else python3.
python=$PYTHON
if [ -z "$python" ]; then
    installed=$(ls -t "$root"/.venv/py*/.installed 2> /dev/null | head -n 1)
    python=${installed%.installed}
    python=${python:+${python}bin/python}
fi
python=${python:-python3}
