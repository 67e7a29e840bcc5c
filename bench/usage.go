package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// usage is what a process and all of its group have taken, as the kernel tells.
type usage struct {
	cpu  float64 // seconds of processor time, with that of children that have ended; counted in hundredths
	peak float64 // MB of memory: each process's high-water mark, added up
}

// ticksPerSecond is the kernel's USER_HZ, the unit of times in /proc; Linux has had this one on every architecture of today.
const ticksPerSecond = 100

// usageOf reads the usage of the processes of a group from /proc, which only Linux has.
func usageOf(group int) (usage, error) {
	var total usage
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return total, fmt.Errorf("cannot read /proc: measuring needs Linux")
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The second field is the program's name in parentheses, and may hold anything. See proc(5) for the rest, from the third.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 15 || fields[2] != strconv.Itoa(group) {
			continue
		}
		for _, ticks := range fields[11:15] {
			n, err := strconv.ParseFloat(ticks, 64)
			if err != nil {
				return total, fmt.Errorf("cannot read %s: %w", file, err)
			}
			total.cpu += n / ticksPerSecond
		}
		total.peak += peakOf(filepath.Join(filepath.Dir(file), "status"))
	}
	return total, nil
}

// peakOf returns a process's high-water mark in MB; zero when it has ended.
func peakOf(file string) float64 {
	text, _ := os.ReadFile(file)
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	if fields := strings.Fields(rest); len(fields) > 0 {
		kilobytes, _ := strconv.ParseFloat(fields[0], 64)
		return kilobytes / 1024
	}
	return 0
}
