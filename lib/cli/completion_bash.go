package cli

import (
	"fmt"
	"strings"
)

// bashCompletion needs bash 4.1 and, for the arguments of a cascaded command,
// uses the package bash-completion where it is loaded.
func bashCompletion(t Tool, specs []verbSpec) string {
	var b strings.Builder
	b.WriteString("# bash completion for " + t.Name + ", generated from its grammar\n\n")
	b.WriteString("# Sets what follows the verb $1: verbs and flags with descriptions,\n")
	b.WriteString("# flags that take a value, and the arguments.\n")
	b.WriteString(fill("@FN@_spec() {\n    verbs=() flags=() takes=() args=()\n    case $1 in\n", t))
	for _, s := range specs {
		b.WriteString("    " + single(s.path) + ")\n")
		bashArray(&b, "verbs", verbLines(s))
		bashArray(&b, "flags", flagLines(s))
		bashArray(&b, "takes", takesLines(s))
		bashArray(&b, "args", argLines(s))
		b.WriteString("        ;;\n")
	}
	b.WriteString("    *) return 1 ;;\n    esac\n}\n")
	b.WriteString(fill(bashBody, t))
	return b.String()
}

func bashArray(b *strings.Builder, name string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "        %s=(\n", name)
	for _, line := range lines {
		b.WriteString("            " + single(line) + "\n")
	}
	b.WriteString("        )\n")
}

func verbLines(s verbSpec) (lines []string) {
	for _, v := range s.verbs {
		lines = append(lines, v.Value+"\t"+v.Help)
	}
	return lines
}

func flagLines(s verbSpec) (lines []string) {
	for _, f := range s.flags {
		for _, name := range f.names {
			lines = append(lines, name+"\t"+f.help)
		}
	}
	return lines
}

// takesLines are "FLAG KIND".
func takesLines(s verbSpec) (lines []string) {
	for _, f := range s.flags {
		for _, name := range f.names {
			if f.value {
				lines = append(lines, name+" "+f.kind)
			}
		}
	}
	return lines
}

// argLines are "KIND", with "..." after that of an argument that repeats.
func argLines(s verbSpec) (lines []string) {
	for _, a := range s.args {
		line := a.kind
		if a.rest {
			line += "..."
		}
		lines = append(lines, line)
	}
	return lines
}

const bashBody = `
# Is the word after the flag $1 its value? Sets kind.
@FN@_takes() {
    local letters flag=$1 take
    if [[ $flag == -[!-]* ]]; then # -Ho is -H -o, and -onames has its value
        for ((letters = 1; letters < ${#flag} - 1; letters++)); do
            for take in "${takes[@]}"; do
                [[ ${take%% *} == "-${flag:letters:1}" ]] && return 1
            done
        done
        flag=-${flag: -1}
    fi
    for take in "${takes[@]}"; do
        [[ ${take%% *} == "$flag" ]] && kind=${take#* } && return 0
    done
    return 1
}

# Offers the lines "value<TAB>description" on stdin, each with $1 in front.
@FN@_offer() {
    local value help
    while IFS=$'\t' read -r value help; do
        [[ $1$value == "$cur"* ]] || continue
        value=$1$value
        COMPREPLY+=("${value#"$done"}")
        helps+=("$help")
    done
}

# Offers the values of a kind, each with $2 in front.
@FN@_values() {
    local value part=${cur#"$2"}
    case $1 in
    '') ;;
    file | dir)
        compopt -o filenames 2>/dev/null
        while IFS= read -r value; do
            value=$2$value
            COMPREPLY+=("${value#"$done"}")
        done < <(if [[ $1 == dir ]]; then compgen -d -- "$part"; else compgen -f -- "$part"; fi)
        ;;
    command) @FN@_offer "$2" < <(compgen -c -- "$part" | sort -u) ;;
    user) @FN@_offer "$2" < <(compgen -u -- "$part") ;;
    group) @FN@_offer "$2" < <(compgen -g -- "$part") ;;
    *,*) @FN@_offer "$2" < <(printf '%s\n' "${1//,/$'\n'}") ;;
    *) @FN@_offer "$2" < <("${words[0]/#\~/$HOME}" __complete "$1" 2>/dev/null) ;;
    esac
}

# The command that begins at word $1 is completed as if it stood alone.
@FN@_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        @FN@_values command ''
    else
        @FN@_values file ''
    fi
}

# Descriptions are shown in a list, not where a word is inserted.
@FN@_describe() {
    local i width=0
    ((${#COMPREPLY[@]} > 1 && ${#helps[@]} == ${#COMPREPLY[@]})) && [[ $COMP_TYPE == 63 ]] || return
    for i in "${!COMPREPLY[@]}"; do
        ((${#COMPREPLY[i]} > width)) && width=${#COMPREPLY[i]}
    done
    for i in "${!COMPREPLY[@]}"; do
        [[ ${helps[i]} ]] || continue
        printf -v "COMPREPLY[i]" '%-*s  %s' "$width" "${COMPREPLY[i]}" "${helps[i]}"
        COMPREPLY[i]=${COMPREPLY[i]:0:${COLUMNS:-80}-1}
    done
}

@FN@() {
    local i word cur done kind='' path='' value='' literal='' count=0 first=0
    local line=${COMP_LINE:0:COMP_POINT}
    local -a words=() verbs flags takes args helps=()
    COMPREPLY=()

    # readline splits words at = and : too; put them together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ $word && $line == "$word"* ]]; then
            words[${#words[@]}-1]+=$word
        else
            line=${line#"${line%%[![:space:]]*}"}
            words+=("$word")
        fi
        line=${line#"$word"}
    done
    cur=${words[${#words[@]}-1]}
    # What readline takes for finished words is not to be offered again.
    word=${COMP_WORDS[COMP_CWORD]}
    [[ $word == [=:] ]] && word=''
    done=${cur%"$word"}

    @FN@_spec ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ $value ]]; then
            value=
        elif [[ ! $literal && $word == -- ]]; then
            literal=1
        elif [[ ! $literal && $word == -?* ]]; then
            @FN@_takes "$word" && value=1
        elif ((${#verbs[@]})) && @FN@_spec "${path:+$path }$word"; then
            path=${path:+$path }$word
        else
            ((count++ == 0)) && first=$i
            @FN@_spec "$path"
            [[ ${args[0]} == command... ]] && literal=1
        fi
    done

    if [[ $value ]]; then
        @FN@_values "$kind" ''
    elif [[ ! $literal && $cur == --*=* ]]; then
        @FN@_takes "${cur%%=*}" && @FN@_values "$kind" "${cur%%=*}="
    elif [[ ! $literal && $cur == -* ]]; then
        @FN@_offer '' < <(printf '%s\n' "${flags[@]}")
    elif ((${#verbs[@]})); then
        @FN@_offer '' < <(printf '%s\n' "${verbs[@]}")
    elif ((${#args[@]})); then
        ((count < ${#args[@]})) && kind=${args[count]} || kind=${args[${#args[@]}-1]}
        if [[ $kind == command... ]]; then
            ((count)) || first=$COMP_CWORD
            ((count)) && first=$((COMP_CWORD - (${#words[@]} - 1 - first)))
            @FN@_command "$first"
        elif ((count < ${#args[@]})) || [[ $kind == *... ]]; then
            @FN@_values "${kind%...}" ''
        fi
    fi
    @FN@_describe
}
complete -F @FN@ @TOOL@
`
