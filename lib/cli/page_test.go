package cli

import (
	"strings"
	"testing"
)

const samplePage = `.\" a comment with .It Fl -never
.Dd March 4, 2026
.Dt SAMPLE 8
.Sh NAME
.Nm sample
.Nd a tool for the tests
.Sh VERBS
.Ss list
.Bl -tag -width Ds
.It Fl -empty
List nothing.
.El
.Ss add
.Bl -tag -width Ds
.It Fl y , Fl -yes
Do not ask.
.It Fl n Ar NODE , Fl Fl node Ns = Ns Ar NODE
Only this node.
.It Fl -stdin Ar FILE
Standard input, see
.Fl -timeout .
.It Fl \-timeout Ar TIME
The default is 1h.
.It Fl -order Ar ORDER
First or last, which is the default.
.El
.Ss fail
.Bl -tag -width Ds
.It Fl y , Fl -yes
Do not ask.
.El
.Ss token list, token revoke
The tokens.
.Sh OUTPUT
.Bl -tag -width Ds
.It Fl H , Fl -no-header
.It Fl o , Fl -columns Ar COLUMN
.It Fl p , Fl -exact
As in
.Fl Hp .
.It Fl -json
.El
.Sh FLAGS
.Bl -tag -width Ds
.It Fl -root Ar DIR
.It Fl -version
.It Fl h , Fl -help
.El
.Sh EXIT STATUS
`

func TestCheckPage(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"agreement", "", "", ""},
		{"verb missing", ".Ss fail\n", ".Ss fall\n", "verb fail has no subsection in VERBS\nthere is no verb fall"},
		{"long flag missing", ".It Fl -stdin Ar FILE\n", "", "add: flag --stdin is missing"},
		{"flag in the wrong verb", ".It Fl -empty\n", ".It Fl -timeout Ar TIME\n1h", "list: flag --empty is missing\nlist: there is no flag --timeout"},
		{"short flag missing", ".It Fl n Ar NODE , Fl Fl node", ".It Fl Fl node", "add: flag --node does not name -n"},
		{"default missing", "is 1h", "is long", "add: flag --timeout does not state its default, 1h"},
		{"common flag missing", ".It Fl -version\n", "", "list: flag --version is missing"},
		{"unknown item", ".It Fl -json\n", ".It Fl -json\n.It Fl -yaml\n", "there is no flag --yaml"},
		{"unknown mention", ".Fl -timeout .", ".Fl -timeuot .", "there is no flag --timeuot"},
		{"unknown letter", ".Fl Hp .", ".Fl HP .", "there is no flag -P"},
		{"section", ".Sh EXIT STATUS", ".Sh EXAMPLES", "section EXIT STATUS is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := strings.Replace(samplePage, tt.old, tt.new, 1)
			if tt.old != "" && page == samplePage {
				t.Fatal("the page did not change")
			}
			got := CheckPage(sampleTool(), []byte(page), "EXIT STATUS")
			if tt.name == "common flag missing" { // once for each verb
				got = got[:1]
			}
			check(t, "problems", strings.Join(got, "\n"), tt.want)
		})
	}
}
