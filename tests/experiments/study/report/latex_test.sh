#!/usr/bin/env bash
# The tables of a report, set by LaTeX in a plain article: no error, no warning of a label that
# stands twice or of a character that is missing, and nothing wider than the text.
#   latex_test.sh SAMPLE    the program that writes the tables
set -euo pipefail
sample=$PWD/$1

command -v pdflatex >/dev/null && kpsewhich booktabs.sty >/dev/null || {
  echo "there is no pdflatex with booktabs; ./test --slow installs it, as does" \
    "apt-get install texlive-latex-recommended" >&2
  exit 1
}
cd "$TEST_TMPDIR"
failed=0
for trials in 1 4; do
  "$sample" "$trials" >tables.tex
  printf '%s\n' '\documentclass{article}' '\usepackage{booktabs}' '\begin{document}' \
    '\input{tables.tex}' '\end{document}' >article.tex
  rm -f article.aux
  for pass in 1 2; do
    pdflatex -interaction=nonstopmode -halt-on-error article.tex >out.txt 2>&1 </dev/null || {
      echo "FAIL: $trials trials: $(grep -m1 -A3 '^!' article.log)" && exit 1
    }
  done
  # The floats that wait for room are no matter; those that find none at all are.
  bad=$(grep -E '^Overfull .hbox|multiply defined|undefined|Missing character|Too many' \
    article.log || true)
  [[ -z $bad ]] || { echo "FAIL: $trials trials: $bad" && failed=1; }
  tables=$(grep -c '\\begin{table}' tables.tex) labels=$(grep -c '\\label{' tables.tex)
  set=$(grep -c '\\contentsline {table}\|\\newlabel' article.aux)
  ((tables > 10 && labels == tables && set >= tables)) ||
    { echo "FAIL: $trials trials: $tables tables, $labels labels, $set set" && failed=1; }
  echo "$trials trials: $tables tables, the widest line: $(wc -L <tables.tex)"
done
exit $failed
