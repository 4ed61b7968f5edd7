package cli

import (
	"fmt"
	"strings"
)

// fishCompletion needs fish 3.1.
func fishCompletion(t Tool, specs []verbSpec) string {
	var b strings.Builder
	b.WriteString("# fish completion for " + t.Name + ", generated from its grammar\n\n")
	b.WriteString(fill("function _@FN@_paths\n    printf '%s\\n'", t))
	for _, s := range specs[1:] {
		b.WriteString(" " + fishQuote(s.path))
	}
	b.WriteString(fill("\nend\n\nfunction _@FN@_takes\n    printf '%s\\n'", t))
	for _, s := range specs {
		for _, line := range takesLines(s) {
			name, _, _ := strings.Cut(line, " ")
			b.WriteString(" " + fishQuote(s.path+" "+name))
		}
	}
	b.WriteString("\nend\n")
	b.WriteString(fill(fishBody, t))
	for _, s := range specs {
		fishVerb(&b, t, s)
	}
	return b.String()
}

// fishVerb writes the rules that hold after the verb.
func fishVerb(b *strings.Builder, t Tool, s verbSpec) {
	b.WriteByte('\n')
	rule := func(count, rest string) {
		at := fill("_@FN@_at ", t) + fishQuote(s.path)
		if count != "" {
			at += " " + count
		}
		fmt.Fprintf(b, "complete -c %s -n %s %s\n", t.Name, fishQuote(at), rest)
	}
	for _, v := range s.verbs {
		rule("0", "-a "+fishQuote(v.Value)+" -d "+fishQuote(v.Help))
	}
	for _, f := range s.flags {
		count := ""
		if s.takesCommand() {
			count = "0" // what follows the command's name belongs to the command
		}
		rule(count, fishFlag(t, f))
	}
	for i, a := range s.args {
		count := fmt.Sprint(i)
		if a.rest {
			count += "+"
		}
		switch action := fishAction(t, a.kind); {
		case a.kind == "command" && a.rest:
			rule(count, "-a "+fishQuote(fill("(_@FN@_command)", t)))
		case action != "":
			rule(count, action)
		}
	}
}

func fishFlag(t Tool, f flagSpec) string {
	text := ""
	for _, name := range f.names {
		if long, ok := strings.CutPrefix(name, "--"); ok {
			text += "-l " + long + " "
		} else {
			text += "-s " + name[1:] + " "
		}
	}
	switch action := fishAction(t, f.kind); {
	case action == "-F":
		text += "-r -F "
	case f.value:
		text += strings.TrimSpace("-x "+action) + " "
	}
	return text + "-d " + fishQuote(f.help)
}

// fishAction is the part of a rule that offers values, "" for none.
func fishAction(t Tool, kind string) string {
	switch kind {
	case "":
		return ""
	case "file":
		return "-F"
	case "dir":
		return "-a '(__fish_complete_directories (commandline -ct))'"
	case "user":
		return "-a '(__fish_complete_users)'"
	case "group":
		return "-a '(__fish_complete_groups)'"
	case "command":
		return "-a '(__fish_complete_command)'"
	}
	if strings.Contains(kind, ",") {
		return "-a " + fishQuote(strings.ReplaceAll(kind, ",", " "))
	}
	return "-a " + fishQuote(fill("(_@FN@_values "+kind+")", t))
}

// fishQuote quotes for fish, where a backslash quotes within single quotes.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}

const fishBody = `
# Prints the verb of the command line, and the index of each argument after it.
function _@FN@_parse
    set -l words (commandline -opc)
    set -l path ''
    set -l found
    set -l skip 0
    set -l literal 0
    for i in (seq 2 (count $words))
        set -l word $words[$i]
        if test $skip = 1
            set skip 0
        else if test $literal = 0; and test "$word" = --
            set literal 1
        else if test $literal = 0; and string match -q -- '-?*' $word
            contains -- "$path $word" (_@FN@_takes); and set skip 1
        else if test -z "$found"; and contains -- (string trim -- "$path $word") (_@FN@_paths)
            set path (string trim -- "$path $word")
        else
            set -a found $i
        end
    end
    echo $path
    for i in $found
        echo $i
    end
end

# Is this the verb $argv[1], with $argv[2] arguments ("1", or "1+" for at least
# as many) before the cursor?
function _@FN@_at
    set -l parsed (_@FN@_parse)
    test "$parsed[1]" = "$argv[1]"; or return
    set -l n (math (count $parsed) - 1)
    switch "$argv[2]"
        case ''
            return 0
        case '*+'
            test $n -ge (string trim -c + -- $argv[2])
        case '*'
            test $n -eq $argv[2]
    end
end

# Offers the values of a kind, which the tool itself names.
function _@FN@_values
    set -l words (commandline -opc)
    set -l tool (string replace -r '^~' $HOME -- $words[1])
    $tool __complete $argv[1] 2>/dev/null
end

# The command that is an argument is completed as if it stood alone.
function _@FN@_command
    set -l words (commandline -opc)
    set -l parsed (_@FN@_parse)
    set -l line
    if set -q parsed[2]
        set line (string escape -- $words[$parsed[2]..-1])
    end
    complete --do-complete=(string join ' ' -- $line (commandline -ct))
end

complete -c @TOOL@ -e
complete -c @TOOL@ -f
`
