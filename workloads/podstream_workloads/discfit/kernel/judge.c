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

static double edge(double t)
{
    t = t > 1 ? 1 : t < -1 ? -1 : t;
    return 0.5 + t * (0.75 - 0.25 * t * t);
}

/* Sums of one sector: pixels inside, outside and in all, with what picture and model show there. */
typedef struct {
    int inside, outside, all;
    double seen_in, seen_out, model_in, model_out, rest;
} sector_t;

verdict_t judge_disc(plane_t plane, const disc_t *disc)
{
    double m = fmin(disc->w + (disc->r < 14 ? 2.0 : 3.5), 0.9 * disc->r);
    double w = fmax(disc->w, 1.2), r = disc->r, contrast = disc->f - disc->b;
    /* Beyond the corners of what is no disc, so that they do not pass for noise. */
    double near = 1.06 * r + disc->w + 3.5, far = near + 6;
    sector_t sectors[SECTORS] = {{0}};
    double ring_squares = 0;
    long ring_count = 0;
    int top = (int)fmax(0, ceil(disc->y - far));
    int bottom = (int)fmin(plane.height - 1, floor(disc->y + far));
    /* A big ring has pixels enough in every other row. */
    int step = r > 60 ? 2 : 1;
    for (int y = top; y <= bottom; y += step) {
        double dy = y - disc->y, reach = sqrt(fmax(0, far * far - dy * dy));
        double hole = (r - m) * (r - m) - dy * dy;
        hole = hole > 0 ? sqrt(hole) - 1e-9 : -1;
        int left = (int)fmax(0, ceil(disc->x - reach));
        int right = (int)fmin(plane.width - 1, floor(disc->x + reach));
        int hole_left = (int)ceil(disc->x - hole), hole_right = (int)floor(disc->x + hole);
        const uint8_t *line = plane.data + (ptrdiff_t)y * plane.stride;
        for (int x = left; x <= right; x++) {
            if (hole >= 0 && x >= hole_left && x <= hole_right) {
                x = hole_right;
                continue;
            }
            double dx = x - disc->x, d = sqrt(dx * dx + dy * dy);
            double b = disc->b + (disc->gx * dx + disc->gy * dy) / r;
            if (d >= near && d < far) {
                ring_squares += (line[x] - b) * (line[x] - b);
                ring_count++;
            }
            if (fabs(d - r) >= m)
                continue;
            sector_t *sector = &sectors[sector_of(dx, dy)];
            double model = b + (disc->f - b) * edge((r - d) / w);
            sector->all++;
            sector->rest += line[x] - model;
            if (d < r - 0.7 * disc->w) {
                sector->inside++, sector->seen_in += line[x], sector->model_in += model;
            } else if (d > r + 0.7 * disc->w) {
                sector->outside++, sector->seen_out += line[x], sector->model_out += model;
            }
        }
    }
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
    verdict.ring_rms = ring_count >= 16 ? sqrt(ring_squares / (double)ring_count) : 0;
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
