package join

import (
	"regexp"
	"strconv"

	"iwx/lib/preflight"
)

// release matches "0.1.0" and what may follow a release's number, semver.org.
var release = regexp.MustCompile(`^v?([0-9]{1,6})\.([0-9]{1,6})(\.[0-9]+)?([-+].*)?$`)

// compareVersion accepts the same minor version and its neighbours, so that
// servers can be upgraded one by one. Without numbers only equals fit.
func compareVersion(m, n string) preflight.Check {
	const name = preflight.NameVersion
	if m == n || Compatible(m, n) {
		return ok(name, "iwx %s on the manager, %s on the node", m, n)
	}
	return fail(name, "install iwx "+m+" on the node", "the manager has iwx %s, the node %s", m, n)
}

// Compatible reports whether two versions of iwx talk to each other: the same
// major version, and minor ones that are equal or neighbours.
func Compatible(a, b string) bool {
	majorA, minorA, okA := numbers(a)
	majorB, minorB, okB := numbers(b)
	distance := max(minorA-minorB, minorB-minorA)
	return okA && okB && majorA == majorB && distance <= 1
}

func numbers(version string) (major, minor int, ok bool) {
	m := release.FindStringSubmatch(version)
	if m == nil {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	return major, minor, err1 == nil && err2 == nil
}
