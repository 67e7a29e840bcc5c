package source

import (
	"errors"
	"net"
)

// Step is a part of a Fetch. They follow each other as in Steps.
type Step string

// The steps.
const (
	StepCredentials  Step = "credentials"  // read them, and the keys to verify with
	StepResolve      Step = "resolve"      // find the host's address
	StepConnect      Step = "connect"      // reach it, through the proxy where there is one, and know that it is the right one
	StepAuthenticate Step = "authenticate" // show the credentials
	StepList         Step = "list"         // list the refs, and find the one that is wanted
	StepFetch        Step = "fetch"        // bring its objects
	StepVerify       Step = "verify"       // judge its signatures
	StepWalk         Step = "walk"         // read the tree at the path
)

// Steps returns all steps in their order.
func Steps() []Step {
	return []Step{StepCredentials, StepResolve, StepConnect, StepAuthenticate, StepList, StepFetch, StepVerify, StepWalk}
}

// failedAt says at which step an attempt ended. Up to the list of refs, all is one call to the wire: there the reason tells.
func (a *attempt) failedAt(failure *Error) Step {
	if a.step != StepList {
		return a.step
	}
	var below error
	if a.wire != nil {
		below = a.wire.failed()
	}
	op, _ := errors.AsType[*net.OpError](below)
	_, unresolved := errors.AsType[*net.DNSError](below)
	switch {
	case unresolved:
		return StepResolve
	case failure.Reason == AuthenticationFailed || failure.Reason == AccessDenied:
		return StepAuthenticate
	case failure.Reason == Unreachable, failure.Reason == UntrustedCertificate, failure.Reason == UntrustedHostKey,
		failure.Reason == Timeout && op != nil && op.Op == "dial":
		return StepConnect
	}
	return StepList
}
