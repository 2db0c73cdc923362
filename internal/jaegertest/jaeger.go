// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest

import (
	"context"
	_ "embed"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	// readyWithin is how long Jaeger may take to start, on a machine that is busy.
	readyWithin = time.Minute
	// stopWithin is how long it may take to end before it is killed.
	stopWithin = 10 * time.Second
)

// config is what Jaeger is run with.
//
//go:embed jaeger.yaml
var config string

// A Jaeger is one that runs for a test. It is safe for concurrent use.
type Jaeger struct {
	at     addresses
	client *http.Client
}

// Start runs Jaeger until the test and its other cleanups have ended, and waits until it is
// ready. It keeps the 2000 traces that came last. Each setting is one that Jaeger takes after
// --set, such as "extensions.jaeger_query.ui.config_file=/some/file.json".
//
// Start skips the test where Jaeger was not built, and fails it where Jaeger does not start,
// or ends before it is told to. On Linux Jaeger is killed with the process of the test, should
// that end without its cleanups.
func Start(tb testing.TB, settings ...string) *Jaeger {
	tb.Helper()
	path, err := find()
	if err != nil {
		tb.Skipf("needs Jaeger: run make .bin/jaeger (%v)", err)
	}
	args := []string{"--config=yaml:" + config}
	for _, s := range settings {
		args = append(args, "--set="+s)
	}
	p := launch(context.WithoutCancel(tb.Context()), stopWithin, path, args...)
	j := &Jaeger{client: &http.Client{Transport: &http.Transport{}}}
	tb.Cleanup(func() {
		j.client.CloseIdleConnections()
		p.stop()
		<-p.ended
		if !errors.Is(p.err, context.Canceled) {
			tb.Errorf("Jaeger ended with %v; it wrote:\n%s", p.err, &p.log)
		}
	})
	select {
	case j.at = <-p.log.ready:
	case <-p.ended:
		tb.Fatal("Jaeger did not start")
	case <-time.After(readyWithin):
		tb.Fatalf("Jaeger was not ready within %v; it wrote:\n%s", readyWithin, &p.log)
	}
	if j.at.query == "" || j.at.otlpHTTP == "" || j.at.otlpGRPC == "" {
		tb.Fatalf("Jaeger is ready and did not say where; it wrote:\n%s", &p.log)
	}
	return j
}

// OTLPHTTP returns the base URL for exports over HTTP, such as http://127.0.0.1:4318: what
// OTEL_EXPORTER_OTLP_ENDPOINT takes. Traces go to /v1/traces below it.
func (j *Jaeger) OTLPHTTP() string { return "http://" + j.at.otlpHTTP }

// OTLPGRPC returns the address for exports over gRPC without TLS, such as 127.0.0.1:4317.
func (j *Jaeger) OTLPGRPC() string { return j.at.otlpGRPC }

// UI returns the URL of the page of Jaeger, and of its query API, such as
// http://127.0.0.1:16686. The Jaeger that make builds has a page that only says that it is
// none, with the UI's configuration in it.
func (j *Jaeger) UI() string { return "http://" + j.at.query }

// find returns where Jaeger is: in .bin at the root of our module, which may be above a
// nested module that the test is in.
func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // above where the test is
		if err == nil && strings.HasPrefix(string(mod), "module github.com/go-ect/ect\n") {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the test does not run within the module")
		}
	}
	path := filepath.Join(dir, ".bin", "jaeger")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	_, err = os.Stat(path)
	return path, err
}
