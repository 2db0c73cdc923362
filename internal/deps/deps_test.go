// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package deps_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the path that the rules' patterns leave out for our own packages.
const module = "github.com/go-ect/ect"

// A graph says for each package what it imports.
type graph map[string][]string

// abs returns the pattern or package p with our module's path written out.
func abs(p string) string {
	if rest, ok := strings.CutPrefix(p, "./"); ok {
		return module + "/" + rest
	}
	return p
}

// short is the reverse of abs, for messages.
func short(pkg string) string {
	if rest, ok := strings.CutPrefix(pkg, module+"/"); ok {
		return "./" + rest
	}
	return pkg
}

func matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		root, below := strings.CutSuffix(abs(p), "/...")
		return pkg == root || below && strings.HasPrefix(pkg, root+"/")
	})
}

func ours(pkg string) bool { return matches([]string{"./..."}, pkg) }

// A violation is a chain of imports from one of our packages to one banned for it.
type violation struct {
	rule  rule
	chain []string
}

func (v violation) String() string {
	links := make([]string, len(v.chain))
	for i, pkg := range v.chain {
		links[i] = short(pkg)
	}
	return fmt.Sprintf("%s (rule %q): %s", strings.Join(links, " -> "), v.rule.name, v.rule.reason)
}

// check returns the shortest banned chain of each package under each rule.
func check(g graph, rules []rule) []violation {
	var found []violation
	for _, pkg := range slices.Sorted(maps.Keys(g)) {
		if !ours(pkg) {
			continue
		}
		for _, r := range rules {
			if !matches(r.from, pkg) || matches(r.except, pkg) {
				continue
			}
			if chain := banned(g, r, pkg); chain != nil {
				found = append(found, violation{r, chain})
			}
		}
	}
	return found
}

// banned searches breadth first from pkg for a package that r denies.
func banned(g graph, r rule, pkg string) []string {
	seen := map[string]bool{pkg: true}
	for queue := [][]string{{pkg}}; len(queue) > 0; queue = queue[1:] {
		chain := queue[0]
		for _, next := range g[chain[len(chain)-1]] {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(chain), next)
			if matches(r.deny, next) && !matches(r.allow, next) {
				return longer
			}
			if !r.direct {
				queue = append(queue, longer)
			}
		}
	}
	return nil
}

// load asks the go command what each package of the module, and each that those need,
// imports. Tests are left out. A package that does not build is the compiler's to
// report, and its imports count all the same.
func load(t *testing.T, root string) graph {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-test=false",
		"-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
	cmd.Dir = root
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	g := graph{}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 0 {
			g[fields[0]] = fields[1:]
		}
	}
	return g
}

// touch opens every folder of the module, so that go test, which caches a result until
// a file that the test opened changes, runs this one again when any import may have.
func touch(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDeps(t *testing.T) {
	root := filepath.Join("..", "..")
	touch(t, root)
	g := load(t, root)
	for _, want := range []string{module + "/core", module + "/internal/deps"} {
		if _, ok := g[want]; !ok {
			t.Fatalf("go list does not name %s: nothing would be checked", want)
		}
	}
	for _, v := range check(g, rules) {
		t.Error(v)
	}
}

// TestDepsBans turns arrows round, one at a time. The pairs are written out rather than
// taken from the rules, so that a rule that is lost or loosened fails here.
func TestDepsBans(t *testing.T) {
	const (
		http = "net/http"
		grpc = "google.golang.org/grpc"
		otel = "go.opentelemetry.io/otel/trace"
	)
	for _, tt := range []struct {
		from string
		to   []string
	}{
		{"./core", []string{
			http, "net/http/httptrace", grpc, "google.golang.org/grpc/codes", otel,
			"./httpect", "./grpcect", "./otelbridge", "./ecttest", "./examples/chi",
			"./identity/jwks", "./core/ledger", "./ledger/tessera", "./replay/redis", "./store/sql",
		}},
		{"./core/dag", []string{
			http, grpc, otel, "./core", "./core/replay", "./core/ledger", "./identity/x509",
			"./httpect", "./grpcect", "./otelbridge", "./ecttest", "./examples/chi",
		}},
		{"./core/replay", []string{
			http, grpc, otel, "./core", "./core/dag", "./core/id", "./core/ledger", "./internal/jsonscan",
			"./httpect", "./grpcect", "./otelbridge", "./ecttest", "./examples/chi",
		}},
		{"./core/id", []string{
			http, grpc, otel, "./core", "./core/dag", "./core/replay", "./core/ledger",
			"./httpect", "./grpcect", "./otelbridge", "./ecttest", "./examples/chi",
		}},
		{"./core/ledger", []string{
			http, grpc, otel, "./httpect", "./grpcect", "./otelbridge", "./ecttest", "./examples/chi",
		}},
		{"./internal/jsonscan", []string{
			http, grpc, otel, "./core", "./core/id", "./core/dag", "./core/replay", "./identity/jwks",
			"./httpect", "./grpcect", "./otelbridge", "./ecttest", "./examples/chi",
		}},
		{"./internal/jaegertest", []string{grpc, otel, "./core", "./core/id", "./otelbridge", "./ecttest", "./internal/readme"}},
		{"./otelbridge", []string{"./internal/jaegertest", "./internal/readme"}},
		{"./examples/chi", []string{"./internal/jaegertest", "./internal/readme"}},
		{"./identity/jwks", []string{
			grpc, otel, "./httpect", "./grpcect", "./otelbridge", "./ecttest", "./examples/chi",
		}},
		{"./httpect", []string{grpc, otel, "./grpcect", "./otelbridge", "./ecttest", "./examples/chi"}},
		{"./grpcect", []string{otel, "./httpect", "./otelbridge", "./ecttest", "./examples/grpc"}},
		{"./otelbridge", []string{grpc, "./httpect", "./grpcect", "./ecttest", "./examples/grpc"}},
		{"./ecttest", []string{grpc, otel, "./httpect", "./grpcect", "./otelbridge", "./examples/chi"}},
	} {
		for _, to := range tt.to {
			from, to := abs(tt.from), abs(to)
			if got := check(graph{from: {"errors", to}, to: nil}, rules); len(got) == 0 {
				t.Errorf("check(%s -> %s) found nothing, want a violation", short(from), short(to))
			}
		}
	}
}

// TestDepsRulesBite holds every line of the table, whatever it says: each banned arrow
// must be found under its own rule and explained, at once and, unless the rule is
// about direct imports, through a package between the two.
func TestDepsRulesBite(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules {
		if seen[r.name] {
			t.Errorf("rule %q is there twice", r.name)
		}
		seen[r.name] = true
		if len(r.reason) < 20 {
			t.Errorf("rule %q has no written reason", r.name)
		}
		for _, from := range instances(r.from, r.except) {
			for _, to := range instances(r.deny, append(slices.Clone(r.allow), short(from))) {
				const between = "example.org/between"
				for _, tt := range []struct {
					name  string
					graph graph
					want  bool
				}{
					{"direct", graph{from: {to}, to: nil}, true},
					{"through another", graph{from: {between}, between: {to}, to: nil}, !r.direct},
					{"the other way", graph{from: {"errors"}, "example.org/other": {to}, to: nil}, false},
				} {
					got := check(tt.graph, []rule{r})
					if (len(got) > 0) != tt.want {
						t.Errorf("rule %q, %s: check(%s -> %s) = %v, want a violation: %t",
							r.name, tt.name, short(from), short(to), got, tt.want)
					}
					for _, v := range got {
						if s := v.String(); !strings.Contains(s, r.reason) || !strings.Contains(s, short(from)+" -> ") {
							t.Errorf("rule %q, %s: message %q lacks the arrow or the reason", r.name, tt.name, s)
						}
					}
				}
			}
		}
	}
}

// instances returns, for each pattern, packages that it matches and the spared ones do not.
func instances(patterns, spared []string) []string {
	var pkgs []string
	for _, p := range patterns {
		root, below := strings.CutSuffix(abs(p), "/...")
		candidates := []string{root}
		if below {
			candidates = append(candidates, root+"/sub/package")
		}
		for _, c := range candidates {
			if c != module && !matches(spared, c) {
				pkgs = append(pkgs, c)
			}
		}
	}
	return pkgs
}

// TestDepsAllows pins the arrows as they are meant to point.
func TestDepsAllows(t *testing.T) {
	g := graph{
		"./core":                {"crypto/x509", "github.com/go-jose/go-jose/v4", "./core/dag", "./core/replay", "./core/id", "./internal/jsonscan"},
		"./core/dag":            {"./core/id", "context"},
		"./core/replay":         {"context", "time"},
		"./core/id":             {"crypto/rand"},
		"./core/ledger":         {"./core", "./core/id"},
		"./internal/jsonscan":   {"unicode/utf8"},
		"./internal/deps":       nil,
		"./internal/jaegertest": {"net/http", "testing"},
		"./identity/jwks":       {"./core", "net/http"},
		"./identity/spiffe":     {"./core", "example.org/workload"},
		"example.org/workload":  {"google.golang.org/grpc"},
		"./httpect":             {"./core", "./core/id", "net/http", "./internal/jsonscan"},
		"./grpcect":             {"./core", "google.golang.org/grpc", "google.golang.org/grpc/metadata"},
		"./otelbridge":          {"./core", "./core/id", "go.opentelemetry.io/otel/trace"},
		"./ecttest":             {"./core", "./identity/jwks", "net/http"},
		"./examples/a":          {"./httpect", "./grpcect", "./otelbridge", "./ecttest", "./core", "google.golang.org/grpc", "go.opentelemetry.io/otel"},
		"example.com/x":         {"./ecttest", "net/http"},
	}
	full := graph{}
	for pkg, imports := range g {
		for _, i := range imports {
			full[abs(pkg)] = append(full[abs(pkg)], abs(i))
		}
	}
	for _, v := range check(full, rules) {
		t.Error(v)
	}
}
