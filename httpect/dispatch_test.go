// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/ecttest"
	"github.com/go-ect/ect/httpect"
)

// TestDispatch holds what goes along against what is sent.
func TestDispatch(t *testing.T) {
	body := []byte("what is sent")
	for name, c := range map[string]struct {
		body io.Reader
		edit func(*calls)
		want core.Hash
	}{
		"no body":              {nil, func(*calls) {}, hashOf(nil)},
		"http.NoBody":          {http.NoBody, func(*calls) {}, hashOf(nil)},
		"a body to read twice": {bytes.NewReader(body), func(*calls) {}, hashOf(body)},
		"an empty one":         {strings.NewReader(""), func(*calls) {}, hashOf(nil)},
		"a body to read once":  {chunked(body), func(*calls) {}, core.Hash{}},
		"no hashes":            {bytes.NewReader(body), func(c *calls) { c.peer.Hashes = false }, core.Hash{}},
		"no hashes, no body":   {nil, func(c *calls) { c.peer.Hashes = false }, core.Hash{}},
		"the older names":      {bytes.NewReader(body), func(c *calls) { c.peer.Revision = core.Revision00 }, hashOf(body)},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				if s, ok := c.body.(io.Seeker); ok {
					s.Seek(0, io.SeekStart) //nolint:errcheck // in memory
				} else if c.body != nil && c.body != http.NoBody {
					c.body = chunked(body)
				}
				p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(w, r.Body) //nolint:errcheck // the client looks
					got, _ := core.ReceivedFromContext(r.Context())
					d := got.Heads()[0]
					if d.Issuer() != ecttest.Name+"/from" || d.Claims().Action != "dispatch" {
						t.Errorf("iss = %q, exec_act = %q", d.Issuer(), d.Claims().Action)
					}
					if r.Method == "POST" && d.Claims().OutHash != c.want {
						t.Errorf("out_hash = %q, want %q", d.Claims().OutHash, c.want)
					}
					if diff := cmp.Diff([]string{ecttest.Name + "/to"}, d.Claims().Audience); diff != "" {
						t.Errorf("aud (-want +got):\n%s", diff)
					}
				}), c.edit, over(proto))
				ctx, task := p.start(t)
				r, err := p.call(ctx, t, "POST", "/", c.body)
				if err != nil || r.err != nil || r.StatusCode != 200 {
					t.Fatalf("call = %v, %v", r, err)
				}
				first := p.told.next(t).Claims()
				if len(first.Pred) != 0 || first.Workflow != task.Workflow() {
					t.Errorf("pred = %v, wid = %v; want none and %v", first.Pred, first.Workflow, task.Workflow())
				}
				if r.place() != "none" || len(r.Trailer) > 0 && r.Trailer[httpect.FieldName] != nil {
					t.Errorf("the answer is in the response: %v", r)
				}
				answer, ok := httpect.AnswerOf(r.Response)
				if !ok {
					t.Fatal("AnswerOf: none")
				}
				h := answer.Heads()[0]
				onlyPred(t, h.Claims(), first.TaskID, "the dispatch")
				if h.Issuer() != p.to.Identity {
					t.Errorf("the answer is by %q", h.Issuer())
				}
				// The answer takes the dispatch's place: it is what comes before the next one.
				if _, err := p.call(ctx, t, "GET", "/", nil); err != nil {
					t.Fatal(err)
				}
				onlyPred(t, p.told.next(t).Claims(), h.Claims().TaskID, "the answer")
			})
		})
	}
}

// TestRequiredWithoutOurHashes: a peer that gets no hashes may tell them, and a policy
// that takes no absence holds them against what was sent.
func TestRequiredWithoutOurHashes(t *testing.T) {
	for name, body := range map[string]func() io.Reader{
		"to read twice": func() io.Reader { return strings.NewReader("sent") },
		"to read once":  func() io.Reader { return chunked([]byte("sent")) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(w, r.Body) //nolint:errcheck // the client looks
			}), func(c *calls) { c.policy.Body, c.peer.Hashes = core.BodyRequire, false }, inWorld(ignoreBody))
			ctx, _ := p.start(t)
			r, err := p.call(ctx, t, "POST", "/", body())
			if err != nil || r.err != nil || string(r.body) != "sent" {
				t.Errorf("call = %v, %v", r, err)
			}
			if c := p.told.next(t).Claims(); c.OutHash.Present {
				t.Error("the peer got a hash")
			}
		})
	}
}

func TestNoTask(t *testing.T) {
	p := newPair(t, untouched(t), bare)
	closed := &closes{Reader: strings.NewReader("body")}
	req := newRequest(t, "POST", p.site.URL, closed)
	if _, err := readReply(p.client.Do(req)); !errors.Is(err, core.ErrNoTask) {
		t.Errorf("Do = %v, want ErrNoTask", err)
	}
	if closed.n == 0 {
		t.Error("the body was not closed")
	}
	// A task that is finished takes no more calls.
	ctx, task := p.start(t)
	end(ctx, t, task)
	closed = &closes{Reader: strings.NewReader("body")}
	if _, err := readReply(p.client.Do(newRequest(t, "POST", p.site.URL, closed).WithContext(ctx))); !errors.Is(err, core.ErrTaskFinished) {
		t.Errorf("Do = %v, want ErrTaskFinished", err)
	}
	if closed.n == 0 {
		t.Error("the body was not closed")
	}
}

// closes counts how often it was closed.
type closes struct {
	io.Reader
	n int
}

func (c *closes) Close() error { c.n++; return nil }

// TestGetBodyFails: a body that cannot be read for its hash stops the call.
func TestGetBodyFails(t *testing.T) {
	p := newPair(t, untouched(t), bare)
	ctx, task := p.start(t)
	broken := errors.New("the disk broke")
	for name, get := range map[string]func() (io.ReadCloser, error){
		"at once": func() (io.ReadCloser, error) { return nil, broken },
		"reading": func() (io.ReadCloser, error) {
			done := make(chan struct{})
			close(done)
			return io.NopCloser(failing{done, broken}), nil
		},
	} {
		req := newRequest(t, "POST", p.site.URL, strings.NewReader("body")).WithContext(ctx)
		req.GetBody = get
		if _, err := readReply(p.client.Do(req)); !errors.Is(err, broken) {
			t.Errorf("%s: Do = %v, want %v", name, err, broken)
		}
	}
	if c := end(ctx, t, task); len(c.Pred) != 0 {
		t.Errorf("pred = %v; want no trace of calls that did not happen", c.Pred)
	}
}

// TestContext: as many generations go along as the policy says, nearest first.
func TestContext(t *testing.T) {
	for _, generations := range []int{0, 1, 2, 8} {
		var got [][]core.UUID
		p := newPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			rec, _ := core.ReceivedFromContext(r.Context())
			ids := []core.UUID{rec.Heads()[0].Claims().TaskID}
			for _, c := range rec.Context() {
				ids = append(ids, c.Claims().TaskID)
			}
			got = append(got, ids)
		}), func(c *calls) { c.peer.Context = generations }, inWorld(allowPartial))
		ctx, task := p.start(t)
		// Three steps of the task's own, then the call.
		var steps []core.UUID
		for range 3 {
			i, err := task.Step(ctx, "step", core.StepInput{})
			if err != nil {
				t.Fatal(err)
			}
			steps = append([]core.UUID{i.Claims().TaskID}, steps...)
			p.told.next(t)
		}
		if r, err := p.call(ctx, t, "GET", "/", nil); err != nil || r.err != nil || r.StatusCode != 200 {
			t.Fatalf("call = %v, %v", r, err)
		}
		want := append([]core.UUID{p.told.next(t).Claims().TaskID}, steps[:min(3, generations)]...)
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("with %d generations came (-want +got):\n%s", generations, diff)
		}
	}
}

// TestHeaderBudget: context is left out before the call fails for want of room, and then
// there is no call.
func TestHeaderBudget(t *testing.T) {
	var came int
	p := newPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		rec, _ := core.ReceivedFromContext(r.Context())
		came = 1 + len(rec.Context())
	}), func(c *calls) { c.peer.Context = 1 }, inWorld(allowPartial))
	ctx, task := p.start(t)
	if _, err := task.Step(ctx, "step", core.StepInput{}); err != nil {
		t.Fatal(err)
	}
	size := len(p.told.next(t).Text())
	line := len(httpect.FieldName) + 4
	for _, c := range []struct {
		room int
		want int
	}{
		{3 * (size + line), 2}, {size + line + size/2, 1}, {size / 2, 0},
	} {
		came = 0
		req := newRequest(t, "GET", p.site.URL, nil).WithContext(ctx)
		// "X-Pad" and what the transport adds itself.
		req.Header.Set("X-Pad", strings.Repeat("x", httpect.DefaultHeaderBytes-c.room-len("X-Pad")-4-len("Accept-Encoding")-4-len("gzip")-1))
		r, err := readReply(p.client.Do(req))
		if c.want == 0 {
			if core.CodeOf(err) != core.CodeTooLarge || came != 0 {
				t.Errorf("with %d bytes of room: Do = %v, %v, %d tokens came; want too_large and no call", c.room, r, err, came)
			}
		} else if err != nil || r.err != nil || came != c.want {
			t.Errorf("with %d bytes of room: Do = %v, %v, %d tokens came, want %d", c.room, r, err, came, c.want)
		}
	}
	p.told.next(t)
	second := p.told.next(t).Claims()
	if never := p.told.next(t).Claims(); slices.Contains(end(ctx, t, task).Pred, never.TaskID) {
		t.Error("the task came after a call that never was")
	}
	p.told.next(t)
	p.told.none(t)
	if second.Action != "dispatch" {
		t.Errorf("the second token is %+v", second)
	}
}

// TestConnectionFails: a call that may have happened is never without a trace.
func TestConnectionFails(t *testing.T) {
	p := newPair(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), bare)
	ctx, task := p.start(t)
	if r, err := p.call(ctx, t, "POST", "/", strings.NewReader("body")); err == nil {
		t.Fatalf("call = %v, want an error", r)
	}
	d := p.told.next(t).Claims()
	onlyPred(t, end(ctx, t, task), d.TaskID, "the dispatch")
}
