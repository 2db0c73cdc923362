// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestProcessEnds runs shells in Jaeger's place, which do what it should not.
func TestProcessEnds(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a shell")
	}
	const ready = `echo '{"msg":"Everything is ready. Begin running and processing data."}'; `
	for _, tt := range []struct {
		name, script string
		within       time.Duration
		want         string // of the error
		itself       bool   // it is not told to
	}{
		{"when told to", `trap 'exit 0' TERM; ` + ready + `while :; do sleep 0.01; done`, time.Minute, context.Canceled.Error(), false},
		{"when told to, at once", ready + `exec sleep 60`, time.Minute, context.Canceled.Error(), false},
		{"when told to, badly", `trap 'exit 3' TERM; ` + ready + `while :; do sleep 0.01; done`, time.Minute, "exit status 3", false},
		{"only when killed", `trap '' TERM; ` + ready + `exec sleep 60`, 50 * time.Millisecond, "signal: killed", false},
		{"when told to by another", ready + `kill -TERM $$`, time.Minute, "signal: terminated", true},
		{"by itself", ready + `exit 0`, time.Minute, "<nil>", true},
		{"by itself, badly", ready + `exit 3`, time.Minute, "exit status 3", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := launch(t.Context(), tt.within, sh, "-c", tt.script)
			<-p.log.ready
			if !tt.itself {
				p.stop()
			}
			<-p.ended
			p.stop()
			got := "<nil>"
			if p.err != nil {
				got = p.err.Error()
			}
			if got != tt.want {
				t.Errorf("ended with %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("before it starts", func(t *testing.T) {
		p := launch(t.Context(), time.Minute, "/nowhere/jaeger")
		defer p.stop()
		<-p.ended
		if !errors.Is(p.err, fs.ErrNotExist) {
			t.Errorf("ended with %v, want %v", p.err, fs.ErrNotExist)
		}
	})
}

func TestLog(t *testing.T) {
	const (
		query = `{"msg":"Query server started","otelcol.component.id":"jaeger_query","http_addr":"127.0.0.1:1","grpc_addr":"127.0.0.1:9"}`
		grpc  = `{"msg":"Starting GRPC server","otelcol.component.id":"otlp","endpoint":"127.0.0.1:2"}`
		http  = `{"msg":"Starting HTTP server","otelcol.component.id":"otlp","endpoint":"127.0.0.1:3"}`
		other = `{"msg":"Starting HTTP server","otelcol.component.id":"jaeger_query","port":1,"addr":"127.0.0.1:0"}`
		ready = `{"msg":"Everything is ready. Begin running and processing data."}`
		said  = "a banner\n" + query + "\n" + grpc + "\n" + http + "\n" + other + "\n" + ready + "\n" + ready + "\n"
	)
	for _, size := range []int{1, 7, len(said)} {
		l := log{ready: make(chan addresses, 1)}
		for rest := []byte(said); len(rest) > 0; {
			n := min(size, len(rest))
			if wrote, err := l.Write(rest[:n]); wrote != n || err != nil {
				t.Fatalf("Write = %d, %v, want %d", wrote, err, n)
			}
			rest = rest[n:]
		}
		want := addresses{query: "127.0.0.1:1", otlpGRPC: "127.0.0.1:2", otlpHTTP: "127.0.0.1:3"}
		if got := <-l.ready; got != want {
			t.Errorf("in pieces of %d bytes: %+v, want %+v", size, got, want)
		}
		if l.String() != said {
			t.Errorf("in pieces of %d bytes: it kept %q", size, &l)
		}
	}
}

func TestLogKeepsItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
	}{
		{"below the limit", maxLog - 1},
		{"at the limit", maxLog},
		{"above the limit", maxLog + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l log
			all := strings.Repeat("line\n", maxLog)[:tt.size-1] + "\n"
			for line := range strings.SplitAfterSeq(all, "\n") {
				_, _ = l.Write([]byte(line))
			}
			if got, want := l.String(), all[max(0, tt.size-maxLog):]; got != want {
				t.Errorf("kept %d bytes of %d, want the last %d", len(got), tt.size, len(want))
			}
		})
	}
}
