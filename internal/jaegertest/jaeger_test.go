// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ect/ect/internal/jaegertest"
)

// A recorder is a test that may be skipped or fail.
type recorder struct {
	testing.TB
	ctx             context.Context //nolint:containedctx // that of the test, unless it is set
	skipped, failed string
	cleanups        []func()
}

func (r *recorder) Context() context.Context {
	if r.ctx != nil {
		return r.ctx
	}
	return r.TB.Context()
}
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, v ...any) { r.failed += fmt.Sprintf(f, v...) + "\n" }
func (r *recorder) Fatal(v ...any)            { r.failed += fmt.Sprint(v...) + "\n"; runtime.Goexit() }
func (r *recorder) Fatalf(f string, v ...any) { r.Fatal(fmt.Sprintf(f, v...)) }
func (r *recorder) Skipf(f string, v ...any)  { r.skipped = fmt.Sprintf(f, v...); runtime.Goexit() }

// run runs a test, and its cleanups.
func (r *recorder) run(test func(testing.TB)) {
	finish := func(f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			f()
		}()
		<-done
	}
	finish(func() { test(r) })
	for _, f := range slices.Backward(r.cleanups) {
		finish(f)
	}
}

func TestStartSkips(t *testing.T) {
	root := t.TempDir()
	nested := filepath.Join(root, "nested")
	for path, mod := range map[string]string{root: "github.com/go-ect/ect", nested: "github.com/go-ect/ect/nested"} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "go.mod"), []byte("module "+mod+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, dir string }{
		{"where it was not built", root},
		{"in a nested module, where it was not built", nested},
		{"outside of the module", t.TempDir()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(tt.dir)
			r := recorder{TB: t}
			r.run(func(tb testing.TB) { jaegertest.Start(tb) })
			if want := "needs Jaeger: run make .bin/jaeger"; !strings.HasPrefix(r.skipped, want) || r.failed != "" {
				t.Errorf("skipped with %q, failed with %q, want %q and no failure", r.skipped, r.failed, want)
			}
		})
	}
}

func TestStartInNestedModule(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", "bench"))
	j := jaegertest.Start(t)
	if names, err := j.Services(t.Context()); len(names) != 0 || err != nil {
		t.Errorf("Services = %q, %v, want none", names, err)
	}
}

// TestStartFails has Jaeger refuse its configuration.
func TestStartFails(t *testing.T) {
	jaegertest.Start(t) // or skip
	r := recorder{TB: t}
	r.run(func(tb testing.TB) { jaegertest.Start(tb, "extensions.jaeger_query.no_such_thing=1") })
	for _, want := range []string{"Jaeger did not start", "exit status 1", "no_such_thing"} {
		if !strings.Contains(r.failed, want) {
			t.Errorf("the failure does not have %q: %s", want, r.failed)
		}
	}
}

// TestStartEachItsOwn runs two at a time.
func TestStartEachItsOwn(t *testing.T) {
	a, b := jaegertest.Start(t), jaegertest.Start(t)
	export(t, a, map[string][]any{"one": {span(1, 1, "x")}})
	for _, tt := range []struct {
		of   *jaegertest.Jaeger
		want []string
	}{
		{a, []string{"one"}},
		{b, nil},
	} {
		if got, err := tt.of.Services(t.Context()); !slices.Equal(got, tt.want) || err != nil {
			t.Errorf("Services = %q, %v, want %q", got, err, tt.want)
		}
	}
}

// TestNothingIsLeft has a process of tests end in every way that there is, and looks whether
// the Jaeger that it has run has ended too.
func TestNothingIsLeft(t *testing.T) {
	jaegertest.Start(t) // or skip
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ends := []string{"passes", "fails", "fails in a subtest", "panics"}
	if runtime.GOOS == "linux" {
		ends = append(ends, "exits", "is killed")
	}
	for _, end := range ends {
		t.Run("a test that "+end, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestEnd$", "-test.v")
			cmd.Env = append(os.Environ(), "JAEGERTEST_END="+end)
			out, err := cmd.Output()
			if _, failed := errors.AsType[*exec.ExitError](err); failed == (end == "passes") {
				t.Errorf("ended with %v", err)
			}
			for _, name := range []string{"UI", "OTLPHTTP", "OTLPGRPC"} {
				_, rest, _ := bytes.Cut(out, []byte(name+" at "))
				addr, _, ok := bytes.Cut(rest, []byte("\n"))
				if !ok {
					t.Fatalf("it did not say where %s is:\n%s", name, out)
				}
				awaitClosed(t, string(addr))
			}
		})
	}
}

// awaitClosed waits until nothing listens at an address. The kernel is told to end a process
// and does so a little later.
func awaitClosed(t *testing.T, addr string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close()
		}
		<-tick.C
	}
	t.Errorf("something still listens at %s", addr)
}

// TestEnd is what TestNothingIsLeft runs, and nothing otherwise.
func TestEnd(t *testing.T) {
	end := os.Getenv("JAEGERTEST_END")
	if end == "" {
		return
	}
	j := jaegertest.Start(t)
	fmt.Printf("UI at %s\n", strings.TrimPrefix(j.UI(), "http://"))
	fmt.Printf("OTLPHTTP at %s\n", strings.TrimPrefix(j.OTLPHTTP(), "http://"))
	fmt.Printf("OTLPGRPC at %s\n", j.OTLPGRPC())
	switch end {
	case "passes":
	case "fails":
		t.Fatal("as it should")
	case "fails in a subtest":
		t.Run("subtest", func(t *testing.T) { t.Fatal("as it should") })
	case "panics":
		panic("as it should")
	case "exits":
		os.Exit(1)
	case "is killed":
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		t.Fatal(self.Kill())
	default:
		t.Fatalf("no such end: %q", end)
	}
}
