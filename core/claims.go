// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"encoding/base64"
	"slices"
	"time"

	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/internal/jsonscan"
)

// Claims is what a token says, its issuer aside: whether that is more than a claim
// depends on the level, so it is asked of [Verified].
type Claims struct {
	// Audience names every entity that will verify the token (`aud`).
	Audience []string
	// IssuedAt and Expiry have whole seconds (`iat`, `exp`).
	IssuedAt, Expiry time.Time
	// TaskID is token id and task id in one (`jti`).
	TaskID UUID
	// Workflow groups the tokens of one workflow (`wid`).
	Workflow Workflow
	// Action is what was done (`exec_act`), 1 to 256 bytes.
	Action string
	// Pred names the tasks this one came after (`pred`); none for a root.
	Pred []UUID
	// InpHash and OutHash are of the exact content bytes (`inp_hash`, `out_hash`; profile 9.6).
	InpHash, OutHash Hash
	// Ext holds the members of `ect_ext` that the profile defines.
	Ext Ext
}

// clone returns a copy that shares nothing that could be changed: tokens are remembered, and
// what one request does with its claims is not another's business.
func (c *Claims) clone() Claims {
	d := *c
	d.Audience, d.Pred = slices.Clone(c.Audience), slices.Clone(c.Pred)
	d.Ext.PredDigests = slices.Clone(c.Ext.PredDigests)
	if c.Ext.Policy != nil {
		p := *c.Ext.Policy
		d.Ext.Policy = &p
	}
	return d
}

// Hash is a SHA-256 of a content, or its absence, which is the zero value. Values are
// compared with ==; absent equals absent only.
type Hash struct {
	Sum     [32]byte
	Present bool
}

// HashLen is the length in bytes of a hash in base64url (profile 3).
const HashLen = 43

// String returns the canonical base64url text, or "" if absent.
func (h Hash) String() string {
	if !h.Present {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum[:])
}

// claimSet is a payload read: the claims, the issuer, and what is wrong with them,
// which is said only after the signature was checked.
type claimSet struct {
	Claims
	issuer string
	fault  string
	has    claimBits
	// Room for what most tokens have, so that it costs no allocation of its own.
	audience [1]string
	preds    [2]UUID
	shorts   [2]id.Short
}

type claimBits uint16

const (
	hasIss claimBits = 1 << iota
	hasAud
	hasIat
	hasExp
	hasJti
	hasAct
	hasPred
	hasExt
)

// dateError marks a date that breaks profile 2.6, and so the form of the token.
type dateError struct{}

func (dateError) Error() string { return "a date is not an integer or decimal from 0 to 2^53-1" }

// formError marks a base64url text that is not canonical (profile 2.7).
type formError struct{}

func (formError) Error() string { return "a base64url text is not canonical" }

// parse reads the payload once. An error means that the form is broken; what is
// wrong with well-formed claims is noted in c.fault.
func (c *claimSet) parse(sc *jsonscan.Scanner, payload string) error {
	sc.Reset(payload)
	p := claimParser{claimSet: c, sc: sc, payload: payload}
	if p.sc.Kind() != jsonscan.Object {
		return jsonscan.ErrSyntax
	}
	if err := p.sc.Members(p.member); err != nil {
		return err
	}
	return p.sc.End()
}

type claimParser struct {
	*claimSet
	sc      *jsonscan.Scanner
	payload string
}

// bad notes the first thing that is wrong with the claims.
func (p *claimParser) bad(why string) {
	if p.fault == "" {
		p.fault = why
	}
}

// once notes that a claim came, under either of its names (profile 3.1).
func (p *claimParser) once(bit claimBits, why string) {
	if p.has&bit != 0 {
		p.bad(why)
	}
	p.has |= bit
}

func (p *claimParser) member(name string) (err error) {
	switch name {
	case "iss":
		p.has |= hasIss
		p.issuer, err = p.text("iss is not a URI", isURI)
	case "aud":
		p.has |= hasAud
		err = p.audience()
	case "iat":
		p.has |= hasIat
		p.IssuedAt, err = p.date()
	case "exp":
		p.has |= hasExp
		p.Expiry, err = p.date()
	case "jti":
		p.has |= hasJti
		p.TaskID, err = p.uuid("jti is not a UUID")
	case "wid":
		p.Workflow.Present = true
		p.Workflow.ID, err = p.uuid("wid is not a UUID")
	case "exec_act":
		p.has |= hasAct
		p.Action, err = p.text("exec_act is not 1 to 256 bytes of permitted text", isAction)
	case "pred", "par":
		p.once(hasPred, "pred and par are both present")
		err = p.pred()
	case "inp_hash":
		p.InpHash, err = p.hash("inp_hash is not a SHA-256 in base64url")
	case "out_hash":
		p.OutHash, err = p.hash("out_hash is not a SHA-256 in base64url")
	case "ect_ext", "ext":
		p.once(hasExt, "ect_ext and ext are both present")
		err = p.ext()
	default:
		_, err = p.sc.Skip()
	}
	return err
}

// text reads a string that ok holds of; anything else is noted as why.
func (p *claimParser) text(why string, ok func(string) bool) (string, error) {
	if p.sc.Kind() != jsonscan.String {
		p.bad(why)
		_, err := p.sc.Skip()
		return "", err
	}
	s, err := p.sc.Text()
	if err != nil {
		return "", err
	}
	if !ok(s) {
		p.bad(why)
		return "", nil
	}
	return s, nil
}

func (p *claimParser) uuid(why string) (u UUID, err error) {
	_, err = p.text(why, func(s string) bool {
		var bad error
		u, bad = id.ParseUUID(s)
		return bad == nil
	})
	return u, err
}

func (p *claimParser) audience() error {
	const why = "aud is not a string or an array of strings"
	if p.sc.Kind() != jsonscan.Array {
		a, err := p.text(why, func(s string) bool { return s != "" })
		p.claimSet.audience[0] = a
		p.Audience = p.claimSet.audience[:]
		return err
	}
	err := p.sc.Elements(func() error {
		a, err := p.text(why, func(s string) bool { return s != "" })
		p.Audience = append(p.Audience, a)
		return err
	})
	if len(p.Audience) == 0 {
		p.bad("aud names nobody")
	}
	return err
}

func (p *claimParser) date() (time.Time, error) {
	if p.sc.Kind() != jsonscan.Number {
		if _, err := p.sc.Skip(); err != nil {
			return time.Time{}, err
		}
		return time.Time{}, dateError{}
	}
	n, err := p.sc.Number()
	if err != nil {
		return time.Time{}, err
	}
	sec, ok := parseDate(n)
	if !ok {
		return time.Time{}, dateError{}
	}
	return time.Unix(sec, 0), nil
}

// parseDate reads a JSON number as a NumericDate, its fraction dropped (profile 2.6).
func parseDate(n string) (sec int64, ok bool) {
	for i := range len(n) {
		switch c := n[i]; {
		case c >= '0' && c <= '9':
			if sec = sec*10 + int64(c-'0'); sec > MaxDate {
				return 0, false
			}
		case c == '.' && i > 0:
			for _, f := range []byte(n[i+1:]) {
				if f < '0' || f > '9' {
					return 0, false
				}
			}
			return sec, true
		default:
			return 0, false
		}
	}
	return sec, len(n) > 0
}

func (p *claimParser) pred() error {
	if p.sc.Kind() != jsonscan.Array {
		p.bad("pred is not an array")
		_, err := p.sc.Skip()
		return err
	}
	p.Pred = p.preds[:0]
	n := 0
	return p.sc.Elements(func() error {
		u, err := p.uuid("pred holds something that is not a UUID")
		if n++; n > MaxPred {
			p.bad("pred holds too many")
			return err
		}
		p.Pred = append(p.Pred, u)
		return err
	})
}

func (p *claimParser) hash(why string) (h Hash, err error) {
	var form error
	_, err = p.text(why, func(s string) bool {
		if len(s) != HashLen {
			return false
		}
		form = decodeCanonical(h.Sum[:], s)
		h.Present = form == nil
		return h.Present
	})
	if err == nil {
		err = form
	}
	return h, err
}

// strict is base64url as RFC 7515 has it, stray bits refused. It still skips CR and LF, so
// the length of what it decodes from a stranger is held against that of the text.
var strict = base64.RawURLEncoding.Strict()

// decodeCanonical decodes text that fills dst exactly (profile 2.7).
func decodeCanonical(dst []byte, text string) error {
	var buf [HashLen + 1]byte
	n, err := strict.Decode(buf[:], []byte(text))
	if err != nil || n != len(dst) {
		return formError{}
	}
	copy(dst, buf[:n])
	return nil
}

// check says what is wrong with the claims of a token of this class, "" if nothing (profile 3).
func (c *claimSet) check(signed bool, maxLifetime time.Duration) string {
	if c.fault != "" {
		return c.fault
	}
	required := []struct {
		bit claimBits
		why string
	}{
		{hasIat, "iat is missing"}, {hasExp, "exp is missing"}, {hasJti, "jti is missing"},
		{hasAct, "exec_act is missing"}, {hasPred, "pred is missing"},
		{hasIss, "iss is missing"}, {hasAud, "aud is missing"},
	}
	if !signed {
		required = required[:5]
	}
	for _, r := range required {
		if c.has&r.bit == 0 {
			return r.why
		}
	}
	if !c.Expiry.After(c.IssuedAt) {
		return "exp is not later than iat"
	}
	if c.Expiry.Sub(c.IssuedAt) > maxLifetime {
		return "exp is too long after iat"
	}
	if why := checkPred(c.Pred, c.TaskID); why != "" {
		return why
	}
	if d := c.Ext.PredDigests; d != nil && len(d) != len(c.Pred) {
		return "pred_dig is not as long as pred"
	}
	return ""
}

// checkPred holds pred against profile 3: no repeats, never its own jti.
func checkPred(pred []UUID, own UUID) string {
	for i, u := range pred {
		if u == own {
			return "pred names its own jti"
		}
		if slices.Contains(pred[:i], u) {
			return "pred repeats a task"
		}
	}
	return ""
}
