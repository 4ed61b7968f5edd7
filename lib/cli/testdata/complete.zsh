# Usage: complete.zsh SCRIPT LINE: prints what zsh would offer at the end of LINE,
# one a line, "value -- description" where there is one. A real zsh on a pseudo
# terminal gets the line and a tab; compadd tells what it is given.
zmodload zsh/zpty
zpty z zsh -f
zpty -w z "PS1= PS2=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -d ~/dump; source ${(q)1}"
zpty -w z '
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    typeset -a hits shown
    if (( $@[(I)-d] )); then
        local name=${@[$[${@[(i)-d]}+1]]}
        if [[ $name == \(* ]]; then
            eval "shown=$name"
        else
            shown=( "${(@P)name}" )
        fi
    fi
    builtin compadd -A hits -D shown "$@"
    local i
    for i in {1..$#hits}; do
        (( $#hits )) && print -r -- "<${${shown[i]:-$hits[i]}}>"
    done
    builtin compadd "$@"
}
finish() { print -r -- "<<end>>" }
comppostfuncs=(finish)
zle -C look complete-word _generic
look-and-go() { comppostfuncs=(finish); zle look; }
zle -N look-and-go
bindkey "^I" look-and-go
zstyle ":completion:*" list-grouped false
zstyle ":completion:*" completer _complete
zstyle ":completion:*" verbose yes
print -r -- "<<""ready>>"'
zpty -r z junk '*<<ready>>*'
zpty -w -n z "$2"$'\t'
zpty -r z out '*<<end>>*'
print -r -- "$out" | tr -d '\r' | sed -n 's/^.*<\([^<>]*\)>$/\1/p' | sed 's/  *--/ --/' | sort -u
zpty -d z
