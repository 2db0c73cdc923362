// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/httpect"
)

// TestHours: a handler sends events for three hours. By then what it answers has expired
// and was dropped from the task stores on both sides, as other work came and went. Its
// record is as fresh as any, the answer in the trailer verifies and names the dispatch,
// and the claim on the dispatch does not outlive it.
func TestHours(t *testing.T) {
	const (
		endpoint = "http://peer.example"
		hours    = 3 * time.Hour
		every    = 10 * time.Minute
	)
	for _, proto := range []string{http1, http2} {
		for _, missing := range []core.MissingPolicy{core.RejectMissing, core.AllowPartial} {
			t.Run(fmt.Sprint(proto, " ", missing), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var kept *dag.Memory // by the service called
					w := newWorld(t, func(s *setup) {
						s.policy.Missing = missing
						kept = keep(t, s)
					})
					told := newSeen()
					calling := setup{
						policy: w.from.Policy(),
						tells:  []core.Audience{{ID: w.to.Identity, Endpoints: []string{endpoint}, Tokens: true, Hashes: true, Answer: core.AnswerRequired}},
					}
					calling.policy.Missing = missing
					dispatched := keep(t, &calling)
					caller, _ := newService(t, w.domain, w.from, calling, told)

					mux := http.NewServeMux()
					mux.HandleFunc("GET /events", func(rw http.ResponseWriter, _ *http.Request) {
						for until := time.Now().Add(hours); time.Now().Before(until); time.Sleep(every) {
							fmt.Fprintf(rw, "data: %v\n\n", time.Now())
							if err := http.NewResponseController(rw).Flush(); err != nil {
								t.Errorf("Flush: %v", err)
								return
							}
						}
					})
					mux.HandleFunc("GET /other", writes(10))
					l := &listener{make(chan net.Conn), make(chan struct{})}
					p := new(http.Protocols)
					p.SetHTTP1(proto == http1)
					p.SetUnencryptedHTTP2(proto == http2)
					srv := &http.Server{Handler: httpect.Middleware(w.service)(mux), Protocols: p}
					go srv.Serve(l) //nolint:errcheck // ends with Close
					base := &http.Transport{DialContext: l.dial, Protocols: p}
					client := &http.Client{Transport: newTransport(t, caller, base)}
					get := func(path string) (*http.Response, *core.Task, core.UUID) {
						ctx, task := startTask(t, caller)
						resp, err := client.Do(newRequest(t, "GET", endpoint+path, nil).WithContext(ctx))
						if err != nil {
							t.Fatal(err)
						}
						return resp, task, told.next(t).Claims().TaskID
					}

					begun := time.Now()
					resp, task, dispatch := get("/events")
					if resp.Proto != proto {
						t.Errorf("the response came by %s, want %s", resp.Proto, proto)
					}
					events := bufio.NewScanner(resp.Body)
					n := 0
					for events.Scan() {
						if !strings.HasPrefix(events.Text(), "data: ") {
							continue
						}
						if n++; n == int(hours/every) { // the last one: others tidy up
							other, otherTask, _ := get("/other")
							if _, err := readReply(other, nil); err != nil {
								t.Error(err)
							}
							end(t.Context(), t, otherTask)
							w.seen.next(t)
							told.next(t)
							for whose, tasks := range map[string]*dag.Memory{"the service": kept, "the caller": dispatched} {
								// What the other exchange left, and nothing of hours ago.
								if n, _ := tasks.Len(); n > 3 {
									t.Errorf("%s keeps %d tasks, want those of the other exchange alone", whose, n)
								}
							}
						}
					}
					if err := events.Err(); err != nil || n != int(hours/every) {
						t.Errorf("%d events, %v", n, err)
					}
					if err := resp.Body.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
					if got := time.Since(begun); got != hours {
						t.Errorf("it took %v, want %v", got, hours)
					}
					answer, ok := httpect.AnswerOf(resp)
					if !ok {
						t.Fatal("AnswerOf: none")
					}
					c := answer.Heads()[0].Claims()
					if now := time.Now().Truncate(time.Second); !c.IssuedAt.Equal(now) || !c.Expiry.Equal(now.Add(10*time.Minute)) {
						t.Errorf("iat = %v, exp = %v at %v", c.IssuedAt, c.Expiry, now)
					}
					onlyPred(t, c, dispatch, "the dispatch")
					if c.Ext.Outcome != core.OutcomeOK || c.Ext.Status != 200 || !c.OutHash.Present {
						t.Errorf("claims = %+v", c)
					}
					onlyPred(t, end(t.Context(), t, task), c.TaskID, "the answer")
					base.CloseIdleConnections()
					if err := srv.Close(); err != nil {
						t.Errorf("Close of the server: %v", err)
					}
				})
			})
		}
	}
}

// keep gives a service a task store that the test can look into.
func keep(t *testing.T, s *setup) *dag.Memory {
	t.Helper()
	tasks, err := dag.NewMemory(dag.MemoryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s.options = append(s.options, core.WithTaskStore(tasks))
	return tasks
}

// TestSlowSigner: a signer that does not answer holds the end of a response up for ten
// seconds, and no longer. The handler's client may be gone by then: the record is made all
// the same if the signer answers in time.
func TestSlowSigner(t *testing.T) {
	for name, takes := range map[string]time.Duration{"in time": 9 * time.Second, "too late": 11 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.signer.takes.Store(int64(takes))
				below := &nowhere{http.Header{}}
				begun := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				req := newRequest(t, "GET", "/", nil, w.head(t)).WithContext(ctx)
				httpect.Middleware(w.service)(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					io.WriteString(rw, "done") //nolint:errcheck // kept back
					cancel()
				})).ServeHTTP(below, req)
				if got, want := time.Since(begun), min(takes, 10*time.Second); got != want {
					t.Errorf("it took %v, want %v", got, want)
				}
				unrecorded := w.seen.codes(&w.seen.unrecorded)
				if name == "too late" {
					if len(unrecorded) != 1 || unrecorded[0] != core.CodeUnrecorded {
						t.Errorf("reported as unrecorded: %v", unrecorded)
					}
					w.seen.none(t)
					return
				}
				if c := w.seen.next(t).Claims(); c.Ext.Outcome != core.OutcomeCancelled || len(unrecorded) > 0 {
					t.Errorf("outcome = %v, reported as unrecorded: %v", c.Ext.Outcome, unrecorded)
				}
			})
		})
	}
}
