// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestOptionalBegins serves requests without a token under Optional: a task begins when
// the handler asks for one, and what passed after that, or is still there, is hashed.
func TestOptionalBegins(t *testing.T) {
	const sent, answered = "what was sent", "what was answered"
	ask := func(ctx context.Context) { core.TaskFromContext(ctx) }
	read := func(r *http.Request) { io.Copy(io.Discard, r.Body) }            //nolint:errcheck // the record tells
	write := func(w http.ResponseWriter) { io.WriteString(w, answered[:4]) } //nolint:errcheck // the client tells
	rest := func(w http.ResponseWriter) { io.WriteString(w, answered[4:]) }  //nolint:errcheck // the client tells
	for name, tt := range map[string]struct {
		handle   func(http.ResponseWriter, *http.Request)
		recorded bool
		inp, out core.Hash
	}{
		"never asked": {func(w http.ResponseWriter, r *http.Request) { read(r); write(w); rest(w) }, false, core.Hash{}, core.Hash{}},
		"asked first": {func(w http.ResponseWriter, r *http.Request) { ask(r.Context()); read(r); write(w); rest(w) }, true,
			hashOf([]byte(sent)), hashOf([]byte(answered))},
		"asked after reading": {func(w http.ResponseWriter, r *http.Request) { read(r); ask(r.Context()); write(w); rest(w) }, true,
			hashOf([]byte(sent)), hashOf([]byte(answered))},
		"asked while writing": {func(w http.ResponseWriter, r *http.Request) { read(r); write(w); ask(r.Context()); rest(w) }, true,
			hashOf([]byte(sent)), core.Hash{}},
		"asked at the end": {func(w http.ResponseWriter, r *http.Request) { write(w); rest(w); ask(r.Context()) }, true,
			core.Hash{}, core.Hash{}},
		"asked twice at once": {func(w http.ResponseWriter, r *http.Request) {
			done := make(chan *core.Task)
			for range 2 {
				go func() {
					task, _ := core.TaskFromContext(r.Context())
					done <- task
				}()
			}
			if one, other := <-done, <-done; one != other || one == nil {
				panic("two tasks of one request")
			}
			read(r)
			write(w)
			rest(w)
		}, true, hashOf([]byte(sent)), hashOf([]byte(answered))},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				w := newWorld(t)
				s := serve(t, proto, httpect.Middleware(w.service, httpect.WithMode(httpect.Optional))(
					http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						rw.Header().Set(httpect.FieldName, "another's")
						tt.handle(rw, r)
					})))
				r := s.send(t, "POST", "/", chunked([]byte(sent)))
				if r.StatusCode != 200 || string(r.body) != answered || r.err != nil || r.place() != "none" || hasVary(r.Header) != 1 {
					t.Errorf("%v (%q), Vary %q", r, r.body, r.Header["Vary"])
				}
				if !tt.recorded {
					s.Close() // waits for what the server still does
					w.seen.none(t)
					return
				}
				c := w.seen.next(t).Claims()
				if len(c.Pred) != 0 || c.InpHash != tt.inp || c.OutHash != tt.out || c.Ext.Status != 200 {
					t.Errorf("pred = %v, inp_hash = %v, out_hash = %v, status %d", c.Pred, c.InpHash, c.OutHash, c.Ext.Status)
				}
			})
		})
	}
}

// TestOptionalCalls: a call through the transport is what asks for a task, and stands in
// its graph.
func TestOptionalCalls(t *testing.T) {
	p := newPair(t, http.HandlerFunc(empty))
	front := serve(t, http1, httpect.Middleware(p.caller, httpect.WithMode(httpect.Optional))(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if err := call(r.Context(), p.client, p.site.URL, strings.NewReader("on")); err != nil {
				t.Errorf("the call = %v", err)
			}
		})))
	front.send(t, "GET", "/", nil)
	dispatch, answer := p.told.next(t).Claims(), p.seen.next(t).Claims()
	if task := p.told.next(t).Claims(); len(dispatch.Pred) != 0 || len(task.Pred) != 1 || task.Pred[0] != answer.TaskID ||
		task.Workflow != dispatch.Workflow {
		t.Errorf("dispatch %+v, answer %+v, task %+v", dispatch, answer, task)
	}
}

// TestShortContent: what is kept to be hashed later and what is hashed as it passes have
// the same hash, wherever the one becomes the other.
func TestShortContent(t *testing.T) {
	for _, size := range []int{0, 1, 255, 256, 257, 511, 512, 1000} {
		for _, step := range []int{1, 100, 255, 256, 257, 1000} {
			w := newWorld(t)
			body := bytes.Repeat([]byte("content "), size/8+1)[:size]
			s := serve(t, http1, httpect.Middleware(w.service)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				buf := make([]byte, step)
				for {
					if _, err := r.Body.Read(buf); err != nil {
						return
					}
				}
			})))
			if c := w.answer(t, s.send(t, "POST", "/", chunked(body), w.head(t))).Claims(); c.InpHash != hashOf(body) {
				t.Errorf("%d bytes, %d a time: inp_hash = %v, want %v", size, step, c.InpHash, hashOf(body))
			}
		}
	}
}
