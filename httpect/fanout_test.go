// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// TestFanOut has one handler make a thousand calls side by side over sockets, of which a
// peer answers most and the rest find nobody, and then as many again: each call of a round
// comes after the same tokens, whatever the timing, and the handler's record after all.
func TestFanOut(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		calls := 1000
		if testing.Short() {
			calls = 150
		}
		d := ecttest.NewDomain()
		front, back, gone := newNode(t, d, "front", proto), newNode(t, d, "back", proto), newNode(t, d, "gone", proto)
		gone.site.Close()
		front.tell(t, d, nil, []*node{back, gone})
		boundConnections(t, front, 16)
		back.tell(t, d, []*node{front}, nil)
		back.router.Use(httpect.Middleware(back.service))
		back.router.Post("/{n}", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body) //nolint:errcheck // the caller looks
		})
		front.router.Use(httpect.Middleware(front.service, httpect.WithMode(httpect.Optional)))
		front.router.Get("/", func(_ http.ResponseWriter, r *http.Request) {
			task, _ := core.TaskFromContext(r.Context())
			if _, err := task.Step(r.Context(), "first", core.StepInput{}); err != nil {
				t.Error(err)
			}
			for range 2 {
				fork := task.Fork(r.Context())
				var wg sync.WaitGroup
				for n := range calls {
					on := fork.Branch(r.Context())
					wg.Go(func() { fanOutCall(on, t, front, back, gone, n) })
				}
				wg.Wait()
				fork.Join()
			}
		})
		if r := front.site.send(t, "GET", "/", nil); r.StatusCode != 200 {
			t.Fatalf("%v", r)
		}
		wantFanOut(t, front, back, calls)
	})
}

// boundConnections makes a node's client open no more connections than a machine that
// does other things as well has to spare.
func boundConnections(t *testing.T, n *node, connections int) {
	t.Helper()
	base, ok := insecureBase(t, n.site).(*http.Transport)
	if !ok {
		t.Fatal("the base is no http.Transport")
	}
	base.MaxConnsPerHost, base.MaxIdleConnsPerHost = connections, connections
	n.client = &http.Client{Transport: newTransport(t, n.service, base)}
}

// fanOutCall is one call; every tenth finds nobody.
func fanOutCall(ctx context.Context, t *testing.T, front, back, gone *node, n int) {
	t.Helper()
	body := fmt.Sprint("call ", n)
	if n%10 > 0 {
		if got := front.ask(ctx, t, "POST", fmt.Sprintf("%s/%d", back.site.URL, n), body); got != body {
			t.Errorf("call %d answered %q", n, got)
		}
		return
	}
	resp, err := front.client.Do(newRequest(t, "POST", gone.site.URL, strings.NewReader(body)).WithContext(ctx))
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a call to nobody = %v, %v", resp, err)
	}
}

// wantFanOut holds what was recorded against what the handler did.
func wantFanOut(t *testing.T, front, back *node, calls int) {
	t.Helper()
	issued := map[core.UUID]*core.Issued{}
	dispatches := map[core.UUID]bool{}
	var first, second core.UUID
	var last *core.Issued
	joins := 0
	for last == nil || last.Claims().Action != "GET /" {
		last = front.seen.next(t)
		c := last.Claims()
		issued[c.TaskID] = last
		if n := len(c.Pred); n > core.MaxIssuedPred || len(last.Text()) > core.DefaultTokenBytes {
			t.Errorf("%q names %d and has %d bytes", c.Action, n, len(last.Text()))
		}
		switch c.Action {
		case "first":
			first = c.TaskID
		case "join":
			joins++
		case "dispatch":
			dispatches[c.TaskID] = true
			switch n := len(dispatches); {
			case n <= calls:
				onlyPred(t, c, first, "the step before the fork")
			case n == calls+1 && len(c.Pred) == 1:
				second = c.Pred[0]
			default:
				onlyPred(t, c, second, "what the others of the second round come after")
			}
		}
	}
	answers := map[core.UUID]core.UUID{} // what each answer came after
	for range 2 * (calls - (calls+9)/10) {
		c := back.seen.next(t).Claims()
		if len(c.Pred) != 1 || !dispatches[c.Pred[0]] {
			t.Fatalf("an answer comes after %v", c.Pred)
		}
		answers[c.TaskID] = c.Pred[0]
	}
	// From the end of the task through join steps to each call or its answer, once.
	reached := map[core.UUID]int{}
	queue := slices.Clone(last.Claims().Pred)
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		if d, ok := answers[id]; ok {
			id = d
		}
		switch i := issued[id]; {
		case i == nil:
			t.Errorf("the handler's record comes after %v, which is nothing of this", id)
		case dispatches[id]:
			reached[id]++
		case i.Claims().Action == "join":
			queue = append(queue, i.Claims().Pred...)
		default:
			t.Errorf("the handler's record comes after %q", i.Claims().Action)
		}
		if len(queue) == 0 && len(reached) == calls {
			queue = []core.UUID{second} // as the calls of the second round do
		}
	}
	for id := range dispatches {
		if reached[id] != 1 {
			t.Errorf("a call is reached %d times from the handler's record, want once", reached[id])
		}
	}
	if want := 2 * ((calls + core.MaxIssuedPred - 3) / (core.MaxIssuedPred - 1)); joins != want || len(dispatches) != 2*calls {
		t.Errorf("there are %d calls and %d join steps, want %d and %d", len(dispatches), joins, 2*calls, want)
	}
	if got := back.seen.codes(&back.seen.rejected); len(got) > 0 {
		t.Errorf("the peer refused %v", got)
	}
}
