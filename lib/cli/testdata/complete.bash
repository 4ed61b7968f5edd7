# Usage: complete.bash SCRIPT COMP_TYPE LINE: prints what bash would offer at the
# end of LINE, one a line. Words are split as readline does, also at = and :.
source "$1"
COMP_TYPE=$2 COMP_LINE=$3 COMP_POINT=${#3} COLUMNS=80
COMP_WORDS=()
mapfile -t COMP_WORDS < <(grep -oE '[=:]+|[^=: ]+' <<<"$3")
[[ $3 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_sample
printf '%s\n' "${COMPREPLY[@]}" | sort
