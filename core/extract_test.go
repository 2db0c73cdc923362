// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/replay"
	"github.com/go-ect/ect/ecttest"
)

// wantRefused extracts a message that must be refused, and says so to observers once.
func (p *taskPair) wantRefused(t *testing.T, s *core.Service, c core.Carrier, in core.ExtractInput, want core.Code) {
	t.Helper()
	p.toLog.rejected = nil
	ctx, task, err := core.Extract(t.Context(), s, c, in)
	if _, ok := errors.AsType[*core.Error](err); !ok || core.CodeOf(err) != want || task != nil || ctx != t.Context() {
		t.Errorf("Extract = %v, %v, want code %v and the context that was given", task, err, want)
	}
	if n := len(p.toLog.rejected); n != 1 || p.toLog.rejected[0].Code != want {
		t.Errorf("observers were told of %v, want one refusal of code %v", p.toLog.rejected, want)
	}
}

func TestExtractBadTokens(t *testing.T) {
	p := newTaskPair(t, func(p *taskPair) { p.policyB.Missing = core.RejectMissing })
	in := core.ExtractInput{Action: "work", Content: core.HashOf(nil)}
	for _, bad := range ecttest.BadTokens() {
		t.Run(bad.Name, func(t *testing.T) {
			p.wantRefused(t, p.to, core.MapCarrier{core.CarrierTokens: {bad.Mint(t, p.domain, p.a, p.b.Identity)}}, in, bad.Code)
		})
	}
	for name, values := range map[string][]string{
		"absent": nil, "none": {}, "empty": {""}, "blank": {" \t"}, "empty elements": {",", " , "},
	} {
		t.Run(name, func(t *testing.T) {
			p.wantRefused(t, p.to, core.MapCarrier{core.CarrierTokens: values}, in, core.CodeRequired)
		})
	}
	t.Run("another name", func(t *testing.T) {
		good := p.a.Token(p.b.Identity).Sign(t)
		p.wantRefused(t, p.to, core.MapCarrier{"Execution-Context": {good}}, in, core.CodeRequired)
	})
	t.Run("too many", func(t *testing.T) {
		var many []string
		for range core.DefaultTokens + 1 {
			many = append(many, p.a.Token(p.b.Identity).Sign(t))
		}
		p.wantRefused(t, p.to, core.MapCarrier{core.CarrierTokens: many}, in, core.CodeTooLarge)
		p.wantRefused(t, p.to, core.MapCarrier{core.CarrierTokens: {strings.Join(many, ", ")}}, in, core.CodeTooLarge)
	})
}

// TestExtractNeeds: a service that records no tasks and an action that cannot be recorded
// refuse a message before it is claimed.
func TestExtractNeeds(t *testing.T) {
	p := newTaskPair(t)
	ctx, _ := p.start(t)
	c := core.MapCarrier{}
	p.inject(ctx, t, c, "send", "hello")
	content := core.HashOf([]byte("hello"))
	for _, action := range []string{"", "a\nb", strings.Repeat("a", core.MaxActionBytes+1)} {
		p.wantRefused(t, p.to, c, core.ExtractInput{Action: action, Content: content}, core.CodeUnavailable)
	}
	silent, err := core.NewService(p.to.Verifier(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.wantRefused(t, silent, c, core.ExtractInput{Action: "work", Content: content}, core.CodeUnavailable)
	p.extract(t, c, "hello")
}

func TestExtractMinLevel(t *testing.T) {
	p := newTaskPair(t, func(p *taskPair) { p.policyB.MinLevel = core.L1 })
	for _, tt := range []struct {
		min  core.Level
		code core.Code
	}{{0, 0}, {core.L1, 0}, {core.L2, core.CodeLevel}} {
		c := core.MapCarrier{core.CarrierTokens: {p.a.Token(p.b.Identity).Unsigned(t)}}
		in := core.ExtractInput{Action: "work", MinLevel: tt.min}
		if _, _, err := core.Extract(t.Context(), p.to, c, in); core.CodeOf(err) != tt.code {
			t.Errorf("Extract of an unsigned token with minimum %v = %v, want code %v", tt.min, err, tt.code)
		}
	}
}

// TestExtractContent holds contents against records under each policy. A message that was
// refused is none the worse.
func TestExtractContent(t *testing.T) {
	none, same, other := core.Hash{}, core.HashOf([]byte("hello")), core.HashOf([]byte("hallo"))
	for _, tt := range []struct {
		name              string
		policy            core.BodyBinding
		recorded, content core.Hash
		code              core.Code
		state             core.BodyState
	}{
		{"ignored, the same", core.BodyIgnore, same, same, 0, core.BodyNotBound},
		{"ignored, another", core.BodyIgnore, same, other, 0, core.BodyNotBound},
		{"ignored, not given", core.BodyIgnore, same, none, 0, core.BodyNotBound},
		{"matched, the same", core.BodyMatch, same, same, 0, core.BodyBound},
		{"matched, another", core.BodyMatch, same, other, core.CodeBody, 0},
		{"matched, empty", core.BodyMatch, same, core.HashOf(nil), core.CodeBody, 0},
		{"matched, not given", core.BodyMatch, same, none, core.CodeBody, 0},
		{"matched, not recorded", core.BodyMatch, none, same, 0, core.BodyNotBound},
		{"matched, neither", core.BodyMatch, none, none, 0, core.BodyNotBound},
		{"required, the same", core.BodyRequire, same, same, 0, core.BodyBound},
		{"required, another", core.BodyRequire, same, other, core.CodeBody, 0},
		{"required, not given", core.BodyRequire, same, none, core.CodeBody, 0},
		{"required, not recorded", core.BodyRequire, none, same, core.CodeBody, 0},
		{"required, neither", core.BodyRequire, none, none, core.CodeBody, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTaskPair(t, func(p *taskPair) { p.policyB.Body = tt.policy })
			ctx, _ := p.start(t)
			c := core.MapCarrier{}
			if _, err := core.Inject(ctx, c, p.b.Identity, core.DispatchInput{OutHash: tt.recorded}); err != nil {
				t.Fatal(err)
			}
			in := core.ExtractInput{Action: "work", Content: tt.content}
			if tt.code != 0 {
				p.wantRefused(t, p.to, c, in, tt.code)
				if tt.recorded == same {
					p.extract(t, c, "hello")
				}
				return
			}
			on, work, err := core.Extract(t.Context(), p.to, c, in)
			if err != nil || work.BodyState() != tt.state {
				t.Fatalf("Extract = %v; want the content %v", err, tt.state)
			}
			if got := taskFinish(on, t, work, core.Completion{}).Issued.Claims().InpHash; got != tt.content {
				t.Errorf("the task token has the input %v, want %v", got, tt.content)
			}
		})
	}
}

// TestExtractInput: a completion that names an input has its way.
func TestExtractInput(t *testing.T) {
	p := newTaskPair(t)
	ctx, _ := p.start(t)
	c := core.MapCarrier{}
	p.inject(ctx, t, c, "", "hello")
	on, work := p.extract(t, c, "hello")
	want := core.HashOf([]byte("decoded"))
	if got := taskFinish(on, t, work, core.Completion{Keep: true, InpHash: want}).Issued.Claims().InpHash; got != want {
		t.Errorf("the task token has the input %v, want %v", got, want)
	}
}

// TestContentNotGiven: a message that is refused because no hash of its content was given
// claims nothing, in no mode, and is unknown afterwards.
func TestContentNotGiven(t *testing.T) {
	for _, mode := range []core.ReplayMode{core.ReplayOncePerInstance, core.ReplayIdempotent, core.ReplayOff} {
		p := newTaskPair(t, func(p *taskPair) { p.policyB.Replay = mode })
		claims, tasks := memoryStore(t, replay.Config{}), taskStore(t, dag.MemoryConfig{})
		s := p.domain.ServiceWithPolicy(t, p.b, p.policyB, nil, core.WithReplayStore(claims), core.WithTaskStore(tasks), p.toLog.observer())
		ctx, _ := p.start(t)
		c := core.MapCarrier{}
		p.inject(ctx, t, c, "", "hello")
		p.wantRefused(t, s, c, core.ExtractInput{Action: "work"}, core.CodeBody)
		signed, _ := claims.Len()
		if known, _ := tasks.Len(); signed != 0 || known != 0 {
			t.Errorf("mode %v: %d claims and %d tasks of a message that was refused", mode, signed, known)
		}
	}
}

// TestRedelivery delivers a message three times under each mode of replay protection.
func TestRedelivery(t *testing.T) {
	for mode, want := range map[core.ReplayMode]core.Code{
		core.ReplayOncePerInstance: core.CodeReplayed, core.ReplayIdempotent: 0, core.ReplayOff: 0,
	} {
		p := newTaskPair(t, func(p *taskPair) { p.policyB.Replay = mode })
		ctx, _ := p.start(t)
		c := core.MapCarrier{}
		p.inject(ctx, t, c, "send", "hello")
		on, first := p.extract(t, c, "hello")
		shape := map[string]string{"work": "send"}
		for n := range 2 {
			in := core.ExtractInput{Action: fmt.Sprint("again", n), Content: core.HashOf([]byte("hello"))}
			on, again, err := core.Extract(t.Context(), p.to, c, in)
			if core.CodeOf(err) != want {
				t.Errorf("mode %d: Extract of a message that came again = %v, want code %v", mode, err, want)
			}
			if err == nil {
				taskFinish(on, t, again, core.Completion{Keep: true})
				shape[in.Action] = "send"
			}
		}
		taskFinish(on, t, first, core.Completion{Keep: true})
		p.toLog.wantShape(t, shape)
	}
}

// TestCarrierTimes holds how long a message may wait against what issuer and verifier
// were told, at the last moment and after it.
func TestCarrierTimes(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name     string
		lifetime time.Duration
		maxAge   *time.Duration
		wait     time.Duration
		code     core.Code
	}{
		{"neither set", 0, nil, core.DefaultLifetime + core.DefaultLeeway, 0},
		{"neither set, later", 0, nil, core.DefaultLifetime + core.DefaultLeeway + time.Second, core.CodeExpired},
		{"an issuer alone", day, nil, core.DefaultMaxAge, 0},
		{"an issuer alone, later", day, nil, core.DefaultMaxAge + time.Second, core.CodeTooOld},
		{"both", 6 * time.Hour, new(6 * time.Hour), 6 * time.Hour, 0},
		{"both, later", 6 * time.Hour, new(6 * time.Hour), 6*time.Hour + time.Second, core.CodeTooOld},
		{"a day", day, new(day), day, 0},
		{"a day, later", day, new(day + time.Hour), day + core.DefaultLeeway + time.Second, core.CodeExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			clock := core.WithClock(func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return now
			})
			d := ecttest.NewDomain()
			a, b := d.Agent(t, "from"), d.Agent(t, "to")
			opts := []core.IssuerOption{clock}
			if tt.lifetime > 0 {
				opts = append(opts, core.WithLifetime(tt.lifetime))
			}
			audiences, err := core.NewAudiences(core.Audience{ID: b.Identity, Tokens: true, Hashes: true})
			if err != nil {
				t.Fatal(err)
			}
			from, err := core.NewService(verifier(t, d, a.Policy(), clock), a.Issuer(t, opts...), audiences)
			if err != nil {
				t.Fatal(err)
			}
			policy := b.Policy()
			policy.MaxAge = tt.maxAge
			to := d.ServiceWithPolicy(t, b, policy, nil, clock)
			ctx, _, err := from.StartTask(t.Context(), "task")
			if err != nil {
				t.Fatal(err)
			}
			c := core.MapCarrier{}
			if _, err := core.Inject(ctx, c, b.Identity, core.DispatchInput{}); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			now = now.Add(tt.wait)
			mu.Unlock()
			for n, want := range []core.Code{tt.code, core.CodeReplayed} {
				if n > 0 && tt.code != 0 {
					want = tt.code
				}
				if _, _, err := core.Extract(t.Context(), to, c, core.ExtractInput{Action: "work"}); core.CodeOf(err) != want {
					t.Errorf("delivery %d after %v = %v, want code %v", n, tt.wait, err, want)
				}
			}
		})
	}
}

// TestCarrierConcurrentSafe has many messages of one task taken by many consumers at once,
// each of them twice: each is worked on once, and comes after its own dispatch.
func TestCarrierConcurrentSafe(t *testing.T) {
	const messages, deliveries = 100, 3
	p := newTaskPair(t)
	ctx, task := p.start(t)
	fork := task.Fork(ctx)
	queue := make(chan func(), messages*deliveries)
	var mu sync.Mutex
	taken := map[string]int{}
	var sent sync.WaitGroup
	for n := range messages {
		on := fork.Branch(ctx)
		sent.Go(func() {
			c, name := core.MapCarrier{}, fmt.Sprint("m", n)
			p.inject(on, t, c, name, name)
			for range deliveries {
				queue <- func() {
					in := core.ExtractInput{Action: name + "-work", Content: core.HashOf([]byte(name))}
					on, work, err := core.Extract(t.Context(), p.to, c, in)
					if core.CodeOf(err) == core.CodeReplayed {
						return
					}
					if err != nil {
						t.Errorf("Extract: %v", err)
						return
					}
					taskFinish(on, t, work, core.Completion{Keep: true})
					mu.Lock()
					defer mu.Unlock()
					taken[name]++
				}
			}
		})
	}
	var consumers sync.WaitGroup
	for range 8 {
		consumers.Go(func() {
			for work := range queue {
				work()
			}
		})
	}
	sent.Wait()
	close(queue)
	consumers.Wait()
	fork.Join()
	taskFinish(ctx, t, task, core.Completion{})
	shape := p.toLog.shape()
	for n := range messages {
		name := fmt.Sprint("m", n)
		if taken[name] != 1 || shape[name+"-work"] != name {
			t.Errorf("%s was taken %d times, and its work comes after %q", name, taken[name], shape[name+"-work"])
		}
	}
	taskCovered(t, p.fromLog, nil)
}

func TestHashOf(t *testing.T) {
	for content, want := range map[string]string{
		"":     "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
		"test": "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg",
	} {
		if h := core.HashOf([]byte(content)); h.String() != want || !h.Present {
			t.Errorf("HashOf(%q) = %v, %t, want %s", content, h, h.Present, want)
		}
	}
}
