/* Whether a fitted disc is one: contrast all around, a quiet background, a round edge. */
#include <math.h>

#include "kernel.h"

enum { SECTORS = 16, PROBES = 32 };

/* One of 16 equal sectors, by comparisons with tan(22.5), tan(45) and tan(67.5) degrees. */
static int sector_of(double dx, double dy)
{
    double ax = fabs(dx), ay = fabs(dy);
    int part = (ay > 0.41421356 * ax) + (ay > ax) + (ay > 2.41421356 * ax);
    return 4 * (2 * (dy < 0) + (dx < 0)) + part;
}

/* Sums of one sector: pixels inside, outside and in all, with what picture and model show there. */
typedef struct {
    int inside, outside, all;
    double seen_in, seen_out, model_in, model_out, rest;
} sector_t;

/* What the pixels of a row are compared with, and what is found in them. */
typedef struct {
    const disc_t *disc;
    double m, w, near, far;
    sector_t sectors[SECTORS];
    double ring_squares, ring_count;
} comparison_t;

enum { CHUNK = 64 };

/* At most CHUNK pixels of a row, from column x on. The arithmetic is done for all of them, eight or
 * four at a time; only those at the edge are then looked at one by one. */
WIDE
static void judge_pixels(comparison_t *with, const uint8_t *line, int x, int n, double dy)
{
    const disc_t *disc = with->disc;
    double r = disc->r, gx = disc->gx / r, gy = disc->gy / r, iw = 1 / with->w;
    double d[CHUNK], model[CHUNK], value[CHUNK], squares = 0, count = 0;
    for (int i = 0; i < n; i++)
        value[i] = line[x + i];
    for (int i = 0; i < n; i++) {
        double dx = x + i - disc->x;
        d[i] = sqrt(dx * dx + dy * dy);
        double b = disc->b + (gx * dx + gy * dy), rest = value[i] - b;
        double is_ring = d[i] >= with->near && d[i] < with->far ? 1 : 0;
        squares += is_ring * rest * rest, count += is_ring;
        double t = (r - d[i]) * iw;
        t = t > 1 ? 1 : t < -1 ? -1 : t;
        model[i] = b + (disc->f - b) * (0.5 + t * (0.75 - 0.25 * t * t));
    }
    with->ring_squares += squares, with->ring_count += count;
    for (int i = 0; i < n; i++) {
        if (fabs(d[i] - r) >= with->m)
            continue;
        sector_t *sector = &with->sectors[sector_of(x + i - disc->x, dy)];
        sector->all++;
        sector->rest += value[i] - model[i];
        if (d[i] < r - 0.7 * disc->w) {
            sector->inside++, sector->seen_in += value[i], sector->model_in += model[i];
        } else if (d[i] > r + 0.7 * disc->w) {
            sector->outside++, sector->seen_out += value[i], sector->model_out += model[i];
        }
    }
}

/* Rows of a ring that are enough: its pixels are means of hundreds. */
static int judged_rows(double r) { return r < 24 ? 1 : r < 100 ? 2 : 4; }

verdict_t judge_disc(plane_t plane, const disc_t *disc)
{
    double m = fmin(disc->w + (disc->r < 14 ? 2.0 : 3.5), 0.9 * disc->r);
    double r = disc->r, contrast = disc->f - disc->b;
    /* Beyond the corners of what is no disc, so that they do not pass for noise. */
    double near = 1.06 * r + disc->w + 3.5, far = near + 6;
    comparison_t with = {disc, m, fmax(disc->w, 1.2), near, far, {{0}}, 0, 0};
    sector_t *sectors = with.sectors;
    int top = (int)fmax(0, ceil(disc->y - far));
    int bottom = (int)fmin(plane.height - 1, floor(disc->y + far));
    int step = judged_rows(r);
    for (int y = top; y <= bottom; y += step) {
        double dy = y - disc->y, reach = sqrt(fmax(0, far * far - dy * dy));
        double hole = (r - m) * (r - m) - dy * dy;
        hole = hole > 0 ? sqrt(hole) - 1e-9 : -1;
        int left = (int)fmax(0, ceil(disc->x - reach));
        int right = (int)fmin(plane.width - 1, floor(disc->x + reach));
        /* Columns from hole_left to hole_right lie inside of what is judged. */
        int hole_left = hole < 0 ? right + 1 : (int)ceil(disc->x - hole);
        int hole_right = hole < 0 ? right : (int)floor(disc->x + hole);
        const uint8_t *line = plane.data + (ptrdiff_t)y * plane.stride;
        for (int x = left; x <= right;) {
            if (x >= hole_left && x <= hole_right) {
                x = hole_right + 1;
                continue;
            }
            int end = x < hole_left && hole_left <= right ? hole_left : right + 1;
            int n = end - x < CHUNK ? end - x : CHUNK;
            judge_pixels(&with, line, x, n, dy);
            x += n;
        }
    }
    double ring_squares = with.ring_squares, ring_count = with.ring_count;
    verdict_t verdict = {0, 0, 0, -1};
    double full = 2 * 3.14159265358979 * r * 2 * m / SECTORS / step, squares = 0;
    int shown = 0;
    for (int i = 0; i < SECTORS; i++) {
        sector_t *sector = &sectors[i];
        if (sector->inside >= 2 && sector->outside >= 2) {
            double seen = sector->seen_in / sector->inside - sector->seen_out / sector->outside;
            double model = sector->model_in / sector->inside - sector->model_out / sector->outside;
            verdict.sectors++;
            if (fabs(model) > 0.25 * fabs(contrast))
                verdict.agreeing += seen / model >= 0.6 && seen / model <= 1.45;
        }
        if (sector->all >= 0.6 * full) {
            double moved = sector->rest / sector->all / contrast * 2 * m;
            squares += moved * moved;
            shown++;
        }
    }
    if (shown)
        verdict.shape_rms = sqrt(squares / shown);
    verdict.ring_rms = ring_count >= 16 ? sqrt(ring_squares / ring_count) : 0;
    return verdict;
}

static double directions[PROBES][2];

/* Called once, when the module is loaded. */
void prepare_probes(void)
{
    for (int i = 0; i < PROBES; i++) {
        double angle = 2 * 3.14159265358979323846 * i / PROBES;
        directions[i][0] = cos(angle), directions[i][1] = sin(angle);
    }
}

/* Mean of 32 pixels well inside a disc and of 32 outside; what lies beyond the plane is left out.
 *
 * Not a number where nothing of a circle is visible. */
void probe_disc(plane_t plane, double x, double y, double r, double out[2])
{
    const double reach[2] = {0.6 * r, 1.1 * r + 3};
    for (int circle = 0; circle < 2; circle++) {
        double sum = 0;
        int count = 0;
        for (int i = 0; i < PROBES; i++) {
            int px = (int)floor(x + reach[circle] * directions[i][0] + 0.5);
            int py = (int)floor(y + reach[circle] * directions[i][1] + 0.5);
            if (px < 0 || py < 0 || px >= plane.width || py >= plane.height)
                continue;
            sum += plane.data[(ptrdiff_t)py * plane.stride + px];
            count++;
        }
        out[circle] = count ? sum / count : NAN;
    }
}
