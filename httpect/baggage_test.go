// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// wireLog keeps every header section of an exchange, as a server gets and sends them.
type wireLog struct {
	mu       sync.Mutex
	sections []http.Header
}

func (l *wireLog) keep(h ...http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range h {
		l.sections = append(l.sections, h.Clone())
	}
}

// record wraps a server's handler furthest out.
func (l *wireLog) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.keep(r.Header)
		next.ServeHTTP(w, r)
		l.keep(r.Trailer, w.Header())
	})
}

// TestNoIDsInBaggage: nothing of ours is in what tracing carries, where all of it goes
// everywhere (profile 10.3), over two calls, one after the other, and their answers.
func TestNoIDsInBaggage(t *testing.T) {
	protos(t, func(t *testing.T, proto string) {
		log, o := &wireLog{}, newTelemetry(t)
		w := newWorld(t, allowPartial)
		third := w.domain.Agent(t, "third")
		thirdSeen := newSeen()
		thirdService, _ := newService(t, w.domain, third, setup{policy: third.Policy(), tells: []core.Audience{{ID: w.to.Identity, Tokens: true, Hashes: true}}}, thirdSeen)
		wrap := func(s *core.Service, h http.Handler) http.Handler {
			return log.record(otelhttp.NewHandler(httpect.Middleware(s)(h), "", o.options()...))
		}
		last := serve(t, proto, wrap(thirdService, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body) //nolint:errcheck // the client tells
		})))

		tells := func(a string, at *site) core.Audience {
			return core.Audience{ID: a, Endpoints: []string{at.URL}, Tokens: true, Hashes: true, Answer: core.AnswerRequired, Context: 2, Trace: everyTrace}
		}
		middle, _ := newService(t, w.domain, w.to, setup{policy: w.to.Policy(), tells: []core.Audience{
			tells(third.Identity, last), {ID: w.from.Identity, Tokens: true, Hashes: true},
		}}, w.seen)
		onward := &http.Client{Transport: o.transport(newTransport(t, middle, last.transport(t)))}
		first := serve(t, proto, wrap(middle, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			req := newRequest(t, "POST", last.URL, strings.NewReader("onward")).WithContext(r.Context())
			if r, err := readReply(onward.Do(req)); err != nil || r.err != nil || r.StatusCode != 200 {
				t.Errorf("%v, %v", r, err)
			}
			rw.Write([]byte("done")) //nolint:errcheck // the client tells
		})))
		fromSeen := newSeen()
		caller, _ := newService(t, w.domain, w.from, setup{policy: w.from.Policy(), tells: []core.Audience{tells(w.to.Identity, first)}}, fromSeen)
		client := &http.Client{Transport: o.transport(newTransport(t, caller, first.transport(t)))}
		ctx, task := startTask(t, caller)
		if r, err := readReply(client.Do(newRequest(t, "POST", first.URL, strings.NewReader("body")).WithContext(traced(ctx, t)))); err != nil || r.err != nil || r.StatusCode != 200 {
			t.Fatalf("%v, %v", r, err)
		}
		end(ctx, t, task)
		first.Close() // which waits for the handlers
		last.Close()

		var ids []string
		for _, s := range []*seen{fromSeen, w.seen, thirdSeen} {
			for len(s.issued) > 0 {
				i := <-s.issued
				ids = append(ids, i.TaskID().String(), i.Workflow().String())
				ids = append(ids, strings.Split(i.Text(), ".")...)
			}
		}
		if len(ids) != 5*(2+3) { // two dispatches, three tasks
			t.Fatalf("%d ids", len(ids))
		}
		carried := 0
		for _, section := range log.sections {
			for name, values := range section {
				if core.TraceHeaders(0).Passes(name) {
					continue
				}
				carried++
				for _, v := range values {
					for _, id := range ids {
						if holds(v, id) {
							t.Errorf("%s holds an id or a part of a token", name)
						}
					}
				}
			}
		}
		if carried < 6 {
			t.Errorf("%d headers of tracing were carried; the test is of nothing", carried)
		}
	})
}

// holds tells whether a text has another in it, which may be a UUID.
func holds(text, id string) bool {
	return strings.Contains(text, id) || len(id) == 36 && strings.Contains(strings.ToLower(text), strings.ReplaceAll(id, "-", ""))
}
