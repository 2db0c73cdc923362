// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/internal/jsonscan"
)

// Ext holds the members of `ect_ext` that the profile defines (profile 3.5). Others
// are reached by name.
type Ext struct {
	// Policy is a policy checkpoint, nil if the token records none.
	Policy *PolicyCheckpoint
	// PredDigests has the digest of each predecessor, in the order of `pred`; nil if
	// the edges are not bound.
	PredDigests []id.Short
	// Outcome says how the task ended.
	Outcome Outcome
	// Status is the HTTP or gRPC status that goes with the outcome; 0 if none.
	Status int
	// Trace is a W3C traceparent, "" if absent.
	Trace string
	// Boundary is the commitment of profile 10.4, "" if absent.
	Boundary string

	raw string
}

// PolicyCheckpoint records what a policy decided about a task (`pol` and its
// companions). It is a record of the issuer's: it grants nothing (profile 10.1).
type PolicyCheckpoint struct {
	// Policy identifies the policy; required.
	Policy string
	// Decision is what it decided; required.
	Decision Decision
	// Enforcer identifies who enforced it; optional.
	Enforcer string
	// Time is when it was decided, in whole seconds; optional.
	Time time.Time
}

// Decision is the value of `pol_decision`.
type Decision string

// The decisions. A token with another one is refused.
const (
	Approved           Decision = "approved"
	Rejected           Decision = "rejected"
	PendingHumanReview Decision = "pending_human_review"
)

func (d Decision) valid() bool {
	return d == Approved || d == Rejected || d == PendingHumanReview
}

// Outcome says how a task ended. The zero value is [OutcomeOK].
type Outcome uint8

// The outcomes (profile 3.5).
const (
	OutcomeOK Outcome = iota
	// OutcomeError is a panic, an HTTP status of 500 and above, or a gRPC code that is the server's fault.
	OutcomeError
	// OutcomeCancelled is a task whose caller went away before it was done.
	OutcomeCancelled
)

// String returns "ok", "error" or "cancelled".
func (o Outcome) String() string {
	switch o {
	case OutcomeError:
		return "error"
	case OutcomeCancelled:
		return "cancelled"
	}
	return "ok"
}

// Member returns a member of `ect_ext` as sent, whether the profile defines it or not.
func (e Ext) Member(name string) (json.RawMessage, bool) { return member(e.raw, name) }

// member finds a top-level member in an object that was scanned before.
func member(object, name string) (json.RawMessage, bool) {
	if object == "" {
		return nil, false
	}
	var found json.RawMessage
	sc := jsonscan.New(object)
	err := sc.Members(func(n string) error {
		start := sc.Pos()
		_, err := sc.Skip()
		if n == name {
			found = json.RawMessage(object[start:sc.Offset()])
		}
		return err
	})
	return found, err == nil && found != nil
}

// ext reads `ect_ext`: its size and depth as sent, and the members defined here.
func (p *claimParser) ext() error {
	if p.sc.Kind() != jsonscan.Object {
		p.bad("ect_ext is not an object")
		_, err := p.sc.Skip()
		return err
	}
	var hasPol, hasDecision bool
	var pol PolicyCheckpoint
	depth := 1
	start := p.sc.Pos()
	err := p.sc.Members(func(name string) (err error) {
		at := p.sc.Pos()
		switch name {
		case "pol":
			hasPol = true
			pol.Policy, err = p.text("pol is not a text", isNotEmpty)
		case "pol_decision":
			hasDecision = true
			var d string
			d, err = p.text("pol_decision is not a decision", func(s string) bool { return Decision(s).valid() })
			pol.Decision = Decision(d)
		case "pol_enforcer":
			pol.Enforcer, err = p.optionalText()
		case "pol_timestamp":
			pol.Time, err = p.optionalDate()
		case "pred_dig":
			err = p.predDigests()
		case "outcome":
			var o string
			o, err = p.optionalText()
			p.Ext.Outcome = parseOutcome(o)
		case "status":
			p.Ext.Status, err = p.optionalStatus()
		case "trace":
			p.Ext.Trace, err = p.optionalText()
		case "boundary":
			p.Ext.Boundary, err = p.optionalText()
		}
		if err != nil {
			return err
		}
		if name == "pred_dig" { // strings in an array, or refused
			depth = max(depth, 2)
			return nil
		}
		if p.sc.Offset() > at {
			return p.deepen(&depth, at)
		}
		d, err := p.sc.Skip()
		depth = max(depth, d+1)
		return err
	})
	if err != nil {
		return err
	}
	p.Ext.raw = p.payload[start:p.sc.Offset()]
	switch {
	case len(p.Ext.raw) > MaxExtBytes:
		p.bad("ect_ext is too long")
	case depth > MaxExtDepth:
		p.bad("ect_ext is nested too deep")
	case hasPol != hasDecision:
		p.bad("pol and pol_decision come as a pair")
	case hasPol:
		kept := pol
		p.Ext.Policy = &kept
	}
	return nil
}

// deepen counts the depth of a value that was read already, which a member of the
// wrong type may be nested into.
func (p *claimParser) deepen(depth *int, at int) error {
	if c := p.payload[at]; c != '{' && c != '[' {
		return nil
	}
	d, err := jsonscan.New(p.payload[at:p.sc.Offset()]).Skip()
	*depth = max(*depth, d+1)
	return err
}

func isNotEmpty(s string) bool { return s != "" }

// optionalText reads a string; a value of another type counts as absent (profile 3.5).
func (p *claimParser) optionalText() (string, error) {
	if p.sc.Kind() != jsonscan.String {
		_, err := p.sc.Skip()
		return "", err
	}
	return p.sc.Text()
}

func (p *claimParser) optionalDate() (time.Time, error) {
	if p.sc.Kind() != jsonscan.Number {
		_, err := p.sc.Skip()
		return time.Time{}, err
	}
	n, err := p.sc.Number()
	if sec, ok := parseDate(n); err == nil && ok {
		return time.Unix(sec, 0), nil
	}
	return time.Time{}, err
}

func (p *claimParser) optionalStatus() (int, error) {
	if p.sc.Kind() != jsonscan.Number {
		_, err := p.sc.Skip()
		return 0, err
	}
	n, err := p.sc.Number()
	if v, bad := strconv.ParseUint(n, 10, 16); err == nil && bad == nil {
		return int(v), nil
	}
	return 0, err
}

func parseOutcome(s string) Outcome {
	for _, o := range []Outcome{OutcomeError, OutcomeCancelled} {
		if o.String() == s {
			return o
		}
	}
	return OutcomeOK
}

func (p *claimParser) predDigests() error {
	const why = "pred_dig is not an array of digests"
	if p.sc.Kind() != jsonscan.Array {
		p.bad(why)
		_, err := p.sc.Skip()
		return err
	}
	digests := p.shorts[:0]
	if len(p.Pred) > len(p.shorts) {
		digests = make([]id.Short, 0, len(p.Pred))
	}
	err := p.sc.Elements(func() error {
		var d id.Short
		var form error
		_, err := p.text(why, func(s string) bool {
			if len(s) != id.ShortLen {
				return false
			}
			form = decodeCanonical(d[:], s)
			return form == nil
		})
		if err == nil {
			err = form
		}
		if len(digests) < MaxPred {
			digests = append(digests, d)
		} else {
			p.bad("pred_dig holds too many")
		}
		return err
	})
	p.Ext.PredDigests = digests
	return err
}

// appendExt writes `ect_ext` and reports what a verifier would refuse. Further
// members have reverse-domain names, as the profile's own are closed (profile 3.5).
func appendExt(b []byte, e *Ext, more map[string]json.RawMessage) (_ []byte, err error) {
	start := len(b)
	b = append(b, '{')
	comma := func(name string) {
		if len(b) > start+1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), name...), `":`...)
	}
	text := func(name, value string) {
		if value != "" && err == nil {
			comma(name)
			b, err = appendJSONString(b, value)
		}
	}
	if pol := e.Policy; pol != nil {
		if pol.Policy == "" || !pol.Decision.valid() {
			return nil, errors.New("ect: a policy checkpoint needs a policy and one of the three decisions")
		}
		text("pol", pol.Policy)
		text("pol_decision", string(pol.Decision))
		text("pol_enforcer", pol.Enforcer)
		if !pol.Time.IsZero() {
			comma("pol_timestamp")
			b = strconv.AppendInt(b, pol.Time.Unix(), 10)
		}
	}
	if e.PredDigests != nil {
		comma("pred_dig")
		b = append(b, '[')
		for i, d := range e.PredDigests {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(d.Append(append(b, '"')), '"')
		}
		b = append(b, ']')
	}
	if e.Outcome != OutcomeOK || e.Status != 0 {
		text("outcome", e.Outcome.String())
	}
	if e.Status != 0 {
		if e.Status < 0 || e.Status > math.MaxUint16 {
			return nil, errors.New("ect: a status is a number up to 65535")
		}
		comma("status")
		b = strconv.AppendInt(b, int64(e.Status), 10)
	}
	text("trace", e.Trace)
	text("boundary", e.Boundary)
	if err != nil {
		return nil, err
	}
	return finishExt(b, start, more)
}

// finishExt adds the members that the profile does not define, closes the object and
// holds it against the limits.
func finishExt(b []byte, start int, more map[string]json.RawMessage) (_ []byte, err error) {
	names := make([]string, 0, len(more))
	for name := range more {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.Contains(name, ".") {
			return nil, fmt.Errorf("ect: the name of extension member %q is not a reverse domain name", name)
		}
		if len(b) > start+1 {
			b = append(b, ',')
		}
		if b, err = appendJSONString(b, name); err != nil {
			return nil, err
		}
		if err := oneValue(more[name]); err != nil {
			return nil, fmt.Errorf("ect: extension member %q: %w", name, err)
		}
		b = append(append(b, ':'), more[name]...)
	}
	b = append(b, '}')
	if len(b)-start > MaxExtBytes {
		return nil, fmt.Errorf("ect: the extension is longer than %d bytes", MaxExtBytes)
	}
	if len(more) == 0 {
		return b, nil
	}
	sc := jsonscan.New(string(b[start:]))
	depth, err := sc.Skip()
	if err == nil {
		err = sc.End()
	}
	if err != nil {
		return nil, fmt.Errorf("ect: extension: %w", err)
	}
	if depth > MaxExtDepth {
		return nil, fmt.Errorf("ect: the extension is nested deeper than %d", MaxExtDepth)
	}
	return b, nil
}

// oneValue tells whether text is one JSON value and nothing else, so that it cannot
// bring further members along.
func oneValue(text json.RawMessage) error {
	sc := jsonscan.New(string(text))
	if _, err := sc.Skip(); err != nil {
		return err
	}
	return sc.End()
}
