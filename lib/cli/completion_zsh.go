package cli

import (
	"fmt"
	"strings"
)

// zshCompletion has one function for each verb, which describes it to
// _arguments (zshcompsys(1)).
func zshCompletion(t Tool, specs []verbSpec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# zsh completion for %s, generated from its grammar\n", t.Name, t.Name)
	b.WriteString(fill(zshHead, t))
	for _, s := range specs {
		b.WriteByte('\n')
		if len(s.verbs) > 0 {
			zshGroup(&b, t, s)
		} else {
			zshLeaf(&b, t, s)
		}
	}
	b.WriteString(fill(zshTail, t))
	return b.String()
}

// zshFunction is the function of a verb; "at" keeps it apart from the others.
func zshFunction(t Tool, path string) string {
	return "_" + identifier(t.Name) + "_at_" + identifier(path)
}

// zshGroup writes the function of a verb that has verbs.
func zshGroup(b *strings.Builder, t Tool, s verbSpec) {
	fmt.Fprintf(b, "%s() {\n", zshFunction(t, s.path))
	b.WriteString("    local curcontext=$curcontext context state state_descr line\n    typeset -A opt_args\n    integer ret=1\n")
	b.WriteString("    _arguments -C -s -S :")
	zshFlags(b, t, s)
	b.WriteString(" \\\n        '1: :->verb' \\\n        '*:: :->rest' && ret=0\n")
	b.WriteString("    case $state in\n    verb)\n        local -a verbs=(\n")
	for _, v := range s.verbs {
		b.WriteString("            " + single(strings.ReplaceAll(v.Value, ":", `\:`)+":"+v.Help) + "\n")
	}
	b.WriteString("        )\n        _describe -t verbs verb verbs && ret=0\n        ;;\n    rest)\n        case $words[1] in\n")
	for _, v := range s.verbs {
		path := strings.TrimSpace(s.path + " " + v.Value)
		fmt.Fprintf(b, "        %s) %s && ret=0 ;;\n", v.Value, zshFunction(t, path))
	}
	b.WriteString("        esac\n        ;;\n    esac\n    return ret\n}\n")
}

// zshLeaf writes the function of a verb that does something. Flags end where a
// command begins.
func zshLeaf(b *strings.Builder, t Tool, s verbSpec) {
	fmt.Fprintf(b, "%s() {\n    _arguments -s -S", zshFunction(t, s.path))
	if s.takesCommand() {
		b.WriteString(" -A '-*'")
	}
	b.WriteString(" :")
	zshFlags(b, t, s)
	for _, a := range s.args {
		position := ":"
		switch {
		case a.rest && a.kind == "command":
			position = "*:::"
		case a.rest:
			position = "*:"
		}
		b.WriteString(" \\\n        " + single(position+a.label+":"+zshAction(t, a.kind, a.rest)))
	}
	b.WriteString("\n}\n")
}

func zshFlags(b *strings.Builder, t Tool, s verbSpec) {
	escape := strings.NewReplacer("[", `\[`, "]", `\]`)
	for _, f := range s.flags {
		exclusive := "(" + strings.Join(f.names, " ") + ")"
		if f.repeats {
			exclusive = "*"
		}
		for _, name := range f.names {
			if f.value && strings.HasPrefix(name, "--") {
				name += "="
			} else if f.value {
				name += "+"
			}
			spec := exclusive + name + "[" + escape.Replace(f.help) + "]"
			if f.value {
				spec += ":" + strings.ReplaceAll(f.label, ":", `\:`) + ":" + zshAction(t, f.kind, false)
			}
			b.WriteString(" \\\n        " + single(spec))
		}
	}
}

// zshAction is the action part of a spec for _arguments.
func zshAction(t Tool, kind string, rest bool) string {
	switch kind {
	case "":
		return " "
	case "file":
		return "_files"
	case "dir":
		return "_files -/"
	case "user":
		return "_users"
	case "group":
		return "_groups"
	case "command":
		if rest {
			return "_normal"
		}
		return "_command_names -e"
	}
	if strings.Contains(kind, ",") {
		return "(" + strings.ReplaceAll(kind, ",", " ") + ")"
	}
	return "_" + identifier(t.Name) + "_values " + kind
}

const zshHead = `
# Offers the values of a kind, which the tool itself names.
@FN@_values() {
    local line
    local -a values
    for line in "${(@f)$("${(Q)tool/#\~/$HOME}" __complete $@[-1] 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        if [[ $line == *$'\t'* ]]; then
            values+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            values+=("${line//:/\\:}")
        fi
    done
    _describe -t values $@[-1] values $@[1,-2]
}
`

const zshTail = `
@FN@() {
    local tool=$words[1]
    @FN@_at_
}

if [[ $funcstack[1] == @FN@ ]]; then
    @FN@ "$@"
else
    compdef @FN@ @TOOL@
fi
`
