package cli

import (
	"fmt"
	"strings"
)

// Count is a number with its noun: "1 node", "3 nodes".
func Count[N int | uint64](n N, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return fmt.Sprintf("%d %s", n, plural)
}

// Some is a list for a sentence: "web1, web2, web3". Where there are more than
// most (2 or more), the last ones are counted, never one alone: "web1, web2 and
// 40 more".
func Some(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most-1], ", "), len(names)-most+1)
}
