// Package kustomize builds kustomizations in memory, with kustomize's own code, and says for each part of what it built where in the
// tree that part is written.
//
// It never runs a program, opens a connection or writes a file, although kustomize's code can do all three: it clones bases with git,
// fetches files over HTTP and runs plugins and helm. What keeps it from doing so is that kustomize never sees what an author wrote:
//
//	Scan    reads a kustomization and all that it names, strictly -> Plan; whatever is remote, outside or a program is a Problem
//	        every kustomization file is decoded, checked and written anew: each path in it starts with "./" or "../", which
//	        kustomize takes for nothing but a local file, and leads to a file that was read and is in memory
//	Build   hands the rewritten files to kustomize in a file system in memory -> Built objects
//	Trace   compares an object with its source and with the patches on the way -> the place of every field
//
// A mark in an annotation of every object tells where the object came from; it never leaves this package. What a build can cost is
// estimated from above before it begins, because kustomize can be neither interrupted nor limited: see cost.go.
//
// The package knows fs.FS and YAML, and neither Git nor what the objects mean.
package kustomize
